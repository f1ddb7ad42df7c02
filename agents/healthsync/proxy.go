package healthsync

import (
	"context"
	"net/netip"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
)

// maxSilences is how many times in a row a proxy that was ready may leave us without an answer, two seconds each. On a
// machine that is short of CPU, Envoy serves but does not answer in time; a proxy taken out of the mesh for that has callers
// find nobody. A refusal counts at once.
const maxSilences = 3

// proxyAgain is when to ask a proxy again that was ready. Its container's end is seen in the metadata: what is left for it to
// become is hung.
const proxyAgain = 3 * slowPoll

// proxyWatch follows the readiness of the proxy.
type proxyWatch struct {
	ask      func(context.Context) error
	trouble  string    // what to call whatever is wrong: worded alike, so that the same state makes the same output
	ready    bool      // at the last answer
	next     time.Time // to ask
	silences int       // since the last answer
}

// proxyProblems asks the ready listeners of all Envoys of the task. The problem is that of the first that is not ready, "" for none:
// a task is one thing to ECS, which stops all of it, so callers are sent away from each of its services.
func proxyProblems(pairs []agentconfig.Pair) (problem func(context.Context) string) {
	var each []func(context.Context) string
	for _, pair := range pairs {
		each = append(each, proxyProblem(pair.Proxy.HealthCheckPort))
	}
	return func(ctx context.Context) string {
		for _, ask := range each {
			if found := ask(ctx); found != "" {
				return found
			}
		}
		return ""
	}
}

// proxyProblem asks Envoy's ready listener. The problem is "" when it is ready.
func proxyProblem(port int) (problem func(context.Context) string) {
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port))
	w := &proxyWatch{
		ask:     envoy.NewReadiness(addr).Check,
		trouble: "the proxy is not ready on " + addr.String(),
	}
	return w.problem
}

func (w *proxyWatch) problem(ctx context.Context) string {
	if time.Now().Before(w.next) {
		return ""
	}
	err := w.ask(ctx)
	if w.ready && envoy.IsSilence(err) && w.silences+1 < maxSilences {
		w.silences++
		return ""
	}
	w.silences, w.ready = 0, err == nil
	if err != nil {
		return w.trouble
	}
	w.next = time.Now().Add(proxyAgain)
	return ""
}
