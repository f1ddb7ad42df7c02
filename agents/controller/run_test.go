package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/logbuffer"
)

// TestMain gives the AWS SDK, which reads the process's environment, the credentials that moto takes.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_MAX_ATTEMPTS": "1",
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if err := moto.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// metadata serves the task as the ECS agent does.
func metadata(t *testing.T, task taskmeta.Task) (uri string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"Cluster": task.ClusterARN, "TaskARN": task.ARN, "Family": "controller",
			"Containers": []any{map[string]any{
				"Name": mesh.ContainerController, "Networks": []any{map[string]any{"NetworkMode": "awsvpc", "IPv4Addresses": []string{"10.0.0.7"}}},
			}},
		})
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func encode(t *testing.T, cfg agentconfig.Config) string {
	t.Helper()
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (w *world) writes(t *testing.T) testenv.Writes {
	t.Helper()
	writes, err := w.server.Writes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return writes
}

func TestTheControllerLivesFromStartToSIGTERM(t *testing.T) {
	w := newWorld(t)
	t.Setenv("AWS_ENDPOINT_URL_ECS", w.ecsURL)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var log logbuffer.Buffer
	done := make(chan error, 1)
	getenv := w.getenv(map[string]string{
		mesh.ConfigVariable: encode(t, w.config()), taskmeta.Variable: metadata(t, w.self),
	})
	go func() { done <- Agent{}.Run(ctx, getenv, nil, nil, &log) }()
	t.Logf("ready after %v", eventually.True(t, "controller ready", eventually.Soon, func() bool { return strings.Contains(log.String(), "controller ready") }))

	role, tasks := w.role(t), w.runTasks(t, 2)
	var tokens []*api.ACLToken
	for _, task := range tasks {
		w.register(t, task)
		tokens = append(tokens, w.logIn(t, role, task))
	}
	began := time.Now()
	said, before, looked := log.String(), w.writes(t), w.looks.Load()
	eventually.True(t, "two more looks", eventually.Soon, func() bool { return w.looks.Load() >= looked+2 })
	since := w.writes(t).Since(before)
	if now := log.String(); now != said {
		t.Errorf("at rest, the controller said %q", strings.TrimPrefix(now, said))
	}
	beats := int(time.Since(began)/(4*time.Second)) + 1 // by which others know that it leads
	for kind, n := range since.ByKind {
		// A server that has just started writes about its CA and itself.
		if slices.ContainsFunc([]string{"register", "deregister", "acl", "config_entry", "kvs"}, func(p string) bool { return strings.HasPrefix(kind, p) }) || kind == "txn" && n > beats {
			t.Errorf("idle, the controller wrote %d times: %s", n, kind)
		}
	}
	w.stopTask(t, tasks[0])
	took := eventually.True(t, "the stopped task leaves Consul", eventually.Soon, func() bool { return len(w.services(t)) == 2 && !w.tokenExists(tokens[0].AccessorID) })
	t.Logf("stopped task gone after %v", took)
	if !w.tokenExists(tokens[1].AccessorID) {
		t.Error("the living task's token is gone")
	}
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("Run = %v, want nil after SIGTERM", err)
		}
	case <-time.After(eventually.Soon):
		t.Error("Run goes on after SIGTERM")
	}
	if text := log.String(); strings.Contains(text, w.server.BootstrapToken) || strings.Contains(text, tokens[0].SecretID) {
		t.Errorf("a token's SecretID is in the log:\n%s", text)
	}
}

func TestSIGTERMDuringTheStartIsNoFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.config()
	cfg.ConsulServers.GRPC.Port = 1 // where nobody listens
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var log logbuffer.Buffer
	env := w.getenv(map[string]string{mesh.ConfigVariable: encode(t, cfg), taskmeta.Variable: metadata(t, w.self)})
	done := make(chan error, 1)
	go func() { done <- Agent{}.Run(ctx, env, nil, nil, &log) }()
	eventually.True(t, "a first attempt fails", eventually.Soon, func() bool { return strings.Contains(log.String(), "will retry") })
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	case <-time.After(eventually.Soon):
		t.Error("Run goes on after SIGTERM")
	}
}

func TestABadStartSaysWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	partitions := w.config()
	partitions.Controller.PartitionsEnabled = true
	uri := metadata(t, w.self)
	for name, tc := range map[string]struct {
		env  map[string]string
		want string
	}{
		"no configuration":  {want: "CONSUL_ECS_CONFIG_JSON is not set"},
		"bad configuration": {env: map[string]string{mesh.ConfigVariable: `{"controller":{"iamRolePath":7}}`}, want: "controller.iamRolePath"},
		"partitions": {
			env:  map[string]string{mesh.ConfigVariable: encode(t, partitions), taskmeta.Variable: uri},
			want: "hint: controller.partitionsEnabled takes Consul Enterprise",
		},
		"no metadata": {env: map[string]string{mesh.ConfigVariable: encode(t, w.config())}, want: "ECS_CONTAINER_METADATA_URI_V4 is not set"},
		"unknown token": {
			env: map[string]string{
				mesh.ConfigVariable: encode(t, w.config()), taskmeta.Variable: uri, mesh.VariableToken: "5e7c5b4f-0000-4000-8000-000000000000",
			},
			want: "hint: Consul does not know the",
		},
		"no token": {
			env:  map[string]string{mesh.ConfigVariable: encode(t, w.config()), taskmeta.Variable: uri, mesh.VariableToken: ""},
			want: "hint: Consul's ACL system is on",
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		var log logbuffer.Buffer
		err := Agent{}.Run(ctx, w.getenv(tc.env), nil, nil, &log)
		cancel()
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: Run = %v, want %q", name, err, tc.want)
		}
		t.Logf("%s: %v", name, err)
	}
}
