package dataplane_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/front"
)

// TestEnvoysStreamLeavesAServerThatHasTooMany has two servers that are the same Consul behind two fronts.
func TestEnvoysStreamLeavesAServerThatHasTooMany(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	port := freeport.Loopback(t).Port()
	servers := []*front.Consul{front.At(t, c, fmt.Sprintf("127.0.0.41:%d", port)), front.At(t, c, fmt.Sprintf("127.0.0.42:%d", port))}
	k := newTask(t, c)
	k.register(t, c, freeport.Loopback(t))
	k.file.Consul = dataplanefile.Consul{
		Addresses: "exec=echo 127.0.0.41 127.0.0.42", ServerWatchDisabled: true, GRPCPort: int(port), TLS: dataplanefile.TLS{Disabled: true},
	}
	k.run(t)
	k.awaitReady(t)
	streams := func(s *front.Consul) bool {
		return slices.ContainsFunc(s.Sent(), func(sent front.Sent) bool { return sent.Call == front.XDS })
	}
	from := slices.IndexFunc(servers, streams)
	if from < 0 || streams(servers[1-from]) {
		t.Fatalf("the stream of configuration is not at one of the servers")
	}
	envoy := k.envoyPID()
	servers[from].Exhaust()
	eventually.True(t, "the stream is at the other server", eventually.Soon, func() bool { return streams(servers[1-from]) })
	if k.envoyPID() != envoy || !k.ready() {
		t.Error("Envoy did not stay as it was")
	}
}
