package envoy_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
)

const aTime = "2026-11-28T15:12:21.467+00:00 "

func TestWhatEnvoyPrintsHasTheAgentsLevels(t *testing.T) {
	t.Parallel()
	const closed = aTime + "[warning] envoy.config(7) DeltaAggregatedResources gRPC config stream to consul-dataplane closed: 13, reset\n"
	for printed, want := range map[string][2]string{ // at debug, before and after the end is expected
		aTime + "[debug] envoy.http(7) x\n":                          {"[DEBUG] envoy.http: x", "[DEBUG] envoy.http: x"},
		aTime + "[info] envoy.admin(7) admin address: 127.0.0.1:1\n": {"[INFO]  envoy.admin: admin address: 127.0.0.1:1", "[INFO]  envoy.admin: admin address: 127.0.0.1:1"},
		aTime + "[warning] envoy.main(7) odd\n":                      {"[WARN]  envoy.main: odd", "[WARN]  envoy.main: odd"},
		aTime + "[critical] envoy.main(7) a \\\"b\\\"\\n\n":          {`[ERROR] envoy.main: a "b"`, `[ERROR] envoy.main: a "b"`},
		"out of memory\n": {"[WARN]  envoy: out of memory", "[WARN]  envoy: out of memory"},
		closed:            {"[WARN]  envoy.config: DeltaAggregated", "[DEBUG] envoy.config: DeltaAggregated"},
		aTime + "[warning] envoy.main(7) caught ENVOY_SIGTERM\n":           {"[WARN]  envoy.main: caught", "[DEBUG] envoy.main: caught"},
		strings.Replace(closed, "13, reset", "14, by the agent itself", 1): {"[DEBUG] envoy.config: Delta", "[DEBUG] envoy.config: Delta"},
	} {
		var got [2]bytes.Buffer
		for i := range got {
			log := envoy.NewLog(agentlog.New("envoy", "DEBUG", false, &got[i]), "by the agent itself")
			if i == 1 {
				log.ExpectEnd()
			}
			for _, part := range []string{printed[:len(printed)/2], printed[len(printed)/2:]} { // as a pipe cuts them
				if _, err := log.Write([]byte(part)); err != nil {
					t.Fatal(err)
				}
			}
			if _, said, _ := strings.Cut(got[i].String(), " "); !strings.HasPrefix(said, want[i]) || strings.Count(said, "\n") != 1 {
				t.Error(cmp.Diff(want[i], said))
			}
		}
	}
}
