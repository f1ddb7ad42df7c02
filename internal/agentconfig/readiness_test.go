package agentconfig_test

import (
	"strings"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
)

func TestReadinessProbes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		probes string
		want   []string // nil: all is well
	}{
		"http":           {`[{"container":"app","type":"http","port":8080,"path":"/ready?deep=1"}]`, nil},
		"tcp":            {`[{"container":"app","type":"tcp","port":8080}]`, nil},
		"grpc":           {`[{"container":"app","type":"grpc","port":8080,"service":"a.B"},{"container":"log","type":"tcp","port":1}]`, nil},
		"nothing said":   {`[{}]`, []string{"readinessProbes[0].container: is missing", "readinessProbes[0].type: is missing", "readinessProbes[0].port: is missing"}},
		"unknown type":   {`[{"container":"app","type":"exec","port":1}]`, []string{`readinessProbes[0].type: is "exec", want one of http, tcp, grpc`}},
		"no port":        {`[{"container":"app","type":"tcp","port":65536}]`, []string{"readinessProbes[0].port: is 65536"}},
		"not tracked":    {`[{"container":"db","type":"tcp","port":1}]`, []string{`readinessProbes[0].container: is "db", whose health does not reach Consul`}},
		"twice":          {`[{"container":"app","type":"tcp","port":1},{"container":"app","type":"tcp","port":2}]`, []string{`readinessProbes[1].container: "app" has a probe in readinessProbes[0] already`}},
		"path of tcp":    {`[{"container":"app","type":"tcp","port":1,"path":"/"}]`, []string{"readinessProbes[0].path: is for the type http alone"}},
		"relative path":  {`[{"container":"app","type":"http","port":1,"path":"ready"}]`, []string{`readinessProbes[0].path: is "ready", want a path that begins with '/'`}},
		"service of tcp": {`[{"container":"app","type":"tcp","port":1,"service":"x"}]`, []string{"readinessProbes[0].service: is for the type grpc alone"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := agentconfig.Parse([]byte(`{"bootstrapDir":"/consul","consulServers":{"hosts":"h"},"healthSyncContainers":["app","log"],"readinessProbes":` + tc.probes + `}`))
			if (err != nil) != (tc.want != nil) {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
}
