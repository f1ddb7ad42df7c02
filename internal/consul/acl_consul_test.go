package consul

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// startConsul starts a real Consul with ACLs. The client has the bootstrap token.
func startConsul(t *testing.T) (client *api.Client, address string) {
	t.Helper()
	tools, err := toolcache.Find()
	switch {
	case tools.Consul == "" && os.Getenv("REQUIRE_REAL") == "":
		t.Skipf("the test needs a real Consul: %v", err)
	case tools.Consul == "":
		t.Fatal(err)
	}
	const token = "7a1f2c3d-0000-4000-8000-000000000001"
	port := freePort(t)
	address = fmt.Sprintf("127.0.0.1:%d", port)
	if client, err = api.NewClient(&api.Config{Address: address, Token: token}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tools.Consul, "agent", "-dev", "-bind=127.0.0.1", "-hcl", fmt.Sprintf(`
		acl { enabled = true default_policy = "deny" tokens { initial_management = %q } }
		ports { http = %d grpc = -1 grpc_tls = -1 dns = -1 serf_lan = %d serf_wan = -1 server = %d }`, token, port, freePort(t), freePort(t)))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, _, err = client.ACL().TokenRead(anonymousAccessorID, nil); err == nil {
			return client, address
		}
		if time.Now().After(deadline) {
			t.Fatalf("Consul does not answer: %v", err)
		}
	}
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
