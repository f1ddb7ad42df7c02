package controller

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// tools are the real components. Only where REQUIRE_REAL is unset may they be missing.
func tools(t *testing.T) toolcache.Paths {
	t.Helper()
	paths, err := toolcache.Find()
	if paths.Consul != "" && paths.MotoServer != "" {
		return paths
	}
	if os.Getenv("REQUIRE_REAL") == "" {
		t.Skipf("the test needs a real Consul and moto: %v", err)
	}
	t.Fatal(err)
	return paths
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// run starts a server that lives as long as the test, and waits until it answers.
func run(t *testing.T, up func() bool, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(t, name+" answers", time.Minute, up)
}

// startConsul starts a Consul with ACLs that takes 20 connections from a client.
func startConsul(t *testing.T) (client *api.Client, httpPort, grpcPort int, token string) {
	t.Helper()
	httpPort, grpcPort, token = freePort(t), freePort(t), "7a1f2c3d-0000-4000-8000-000000000001"
	client, err := api.NewClient(&api.Config{Address: fmt.Sprintf("127.0.0.1:%d", httpPort), Token: token})
	if err != nil {
		t.Fatal(err)
	}
	run(t, func() bool {
		_, _, err := client.ACL().TokenReadSelf(nil)
		return err == nil
	}, tools(t).Consul, "agent", "-dev", "-bind=127.0.0.1", "-hcl", fmt.Sprintf(`
		acl { enabled = true default_policy = "deny" tokens { initial_management = %q } }
		ports { http = %d grpc = %d grpc_tls = -1 dns = -1 serf_lan = %d serf_wan = -1 server = %d }
		limits { http_max_conns_per_client = 20 }`, token, httpPort, grpcPort, freePort(t), freePort(t)))
	return client, httpPort, grpcPort, token
}

// startMoto starts AWS but for containers: its tasks are records.
func startMoto(t *testing.T) (url string) {
	t.Helper()
	port := freePort(t)
	url = fmt.Sprintf("http://127.0.0.1:%d", port)
	run(t, func() bool {
		resp, err := http.Get(url + "/moto-api/")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	}, tools(t).MotoServer, "-H", "127.0.0.1", "-p", fmt.Sprint(port))
	return url
}
