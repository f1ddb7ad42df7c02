package redirect

import (
	"slices"
	"strings"
	"testing"
)

func TestVerificationSeesWhatTheKernelHasNotTaken(t *testing.T) {
	t.Parallel()
	table := Spec{InboundPort: 20000, OutboundPort: 15001}.Tables()[0]
	var loaded []string
	for _, rule := range table.Rules {
		if rule.Chain == chainOutbound {
			loaded = append(loaded, rule.String())
		}
	}
	head := []string{"-N " + chainOutbound}
	for name, c := range map[string]struct {
		listed []string
		want   string // "": all is well
	}{
		"all there":     {loaded, ""},
		"none there":    {nil, "rule 1 of CONSUL_PROXY_OUTPUT is missing"},
		"last missing":  {loaded[:len(loaded)-1], "rule 5 of CONSUL_PROXY_OUTPUT is missing"},
		"first missing": {loaded[1:], "rule 1 of CONSUL_PROXY_OUTPUT is "},
		"one too many":  {append(slices.Clone(loaded), "-A CONSUL_PROXY_OUTPUT -j ACCEPT"), "a rule too many"},
		"other target": {
			[]string{strings.Replace(loaded[0], "-j RETURN", "-j ACCEPT", 1), loaded[1], loaded[2], loaded[3], loaded[4]},
			"rule 1 of CONSUL_PROXY_OUTPUT is ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := table.missing(chainOutbound, append(slices.Clone(head), c.listed...))
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
