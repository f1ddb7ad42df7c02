package agentconfig_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
)

// FuzzParse wants that what is read says the same once it is written and read again.
func FuzzParse(f *testing.F) {
	const good = `{"bootstrapDir":"/consul","consulServers":{"hosts":"h"}`
	for _, doc := range []string{
		incumbentMinimal, incumbentFull, incumbentController, `null`, `[]`, `{}`, good + `} {}`,
		good + `,"service":{"port":1.5},"proxy":{"config":{"a":1e400,"b":-0,"c":[null,{}],"d":12345678901234567890}}}`,
		good + `,"service":{"name":"web","port":80},"healthSyncContainers":[],"readinessProbes":[{"container":"app","type":"http","port":80,"path":"/"}],
			"proxy":{"config":{"a":1e400,"b":-0,"c":[null,{}],"d":12345678901234567890,"e":"\ud800"}}}`,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		cfg, err := agentconfig.Parse(doc)
		if err != nil {
			return
		}
		written, err := agentconfig.Marshal(cfg)
		if err != nil {
			t.Fatalf("write what was read: %v", err)
		}
		again, err := agentconfig.Parse(written)
		if err != nil {
			t.Fatalf("read %s: %v", written, err)
		}
		// An empty list or object is left out, which says the same.
		if diff := cmp.Diff(cfg, again, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-first +second):\n%s", written, diff)
		}
	})
}
