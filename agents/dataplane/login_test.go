package dataplane_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/meshstage"
)

// startMesh is a mesh whose tasks log in by their roles, for one test.
func startMesh(t *testing.T) *meshstage.Stage {
	t.Helper()
	tool(t, "consul")
	stage, err := meshstage.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stage.Close() })
	return stage
}

// logsIn runs a dataplane that logs in by its role, and returns its first token's AccessorID once it is ready.
func logsIn(t *testing.T, stage *meshstage.Stage, taskID string, change func(*dataplanefile.Login)) (k *task, first string) {
	t.Helper()
	k = newTask(t, stage.Consul)
	k.token = ""
	for name, value := range stage.RoleEnv(t, mesh.RolePath, k.service, k.service) {
		k.env = append(k.env, name+"="+value)
	}
	login := dataplanefile.Login{ // of no region: the agent finds it in the task's ARN
		AuthMethod: mesh.AuthMethod, IncludeEntity: true, STSEndpoint: stage.AWS.URL, IAMEndpoint: stage.AWS.URL,
		Meta: map[string]string{mesh.LoginMetaTaskID: taskID, mesh.LoginMetaCluster: node},
	}
	change(&login)
	k.file.Consul.Credentials = &dataplanefile.Credentials{Type: dataplanefile.CredentialsLogin, Login: login}
	k.register(t, stage.Consul, freeport.Loopback(t))
	k.run(t)
	k.awaitReady(t)
	tokens := stage.LoginTokens(t, taskID)
	if len(tokens) != 1 {
		t.Fatalf("tokens %v, want one", tokens)
	}
	return k, tokens[0]
}

func TestTheTaskRoleLogsInAgainWhenItsTokenIsGoneAndOutAtTheEnd(t *testing.T) {
	t.Parallel()
	stage := startMesh(t)
	const taskID = "1f3a"
	k, first := logsIn(t, stage, taskID, func(login *dataplanefile.Login) {
		login.BearerToken = "stale" // as the file's is, minutes after mesh-init: each login mints one of its own
	})

	if _, err := stage.Consul.API.ACL().TokenDelete(first, nil); err != nil {
		t.Fatal(err)
	}
	// Consul looks at a stream's token when it has something to send.
	changes := 0
	eventually.True(t, "the agent has logged in again", eventually.Soon, func() bool {
		changes++
		_, _, err := stage.Consul.API.ConfigEntries().Set(&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: k.service, Protocol: []string{"http", "tcp"}[changes%2]}, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		now := stage.LoginTokens(t, taskID)
		return len(now) == 1 && now[0] != first
	})
	eventually.True(t, "the log tells", eventually.Soon, func() bool { return strings.Contains(k.output.String(), "token renewed") })

	k.metadata.stopApp()
	k.signal(t, syscall.SIGTERM)
	if code, _ := k.awaitExit(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if left := stage.LoginTokens(t, taskID); len(left) != 0 {
		t.Errorf("tokens %v left", left)
	}
}
