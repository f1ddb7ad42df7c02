package provider

import "testing"

func TestOnlyAReleaseHasAnImageOfItsOwn(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"1.2.3":                       "ghcr.io/consulecs/consulecs-agent:1.2.3",
		"0.4.0-rc.1":                  "ghcr.io/consulecs/consulecs-agent:0.4.0-rc.1",
		"1.2.3-beta2":                 "ghcr.io/consulecs/consulecs-agent:1.2.3-beta2",
		"dev":                         "",
		"test":                        "",
		"v1.2.3":                      "", // git's word, not GoReleaser's
		"1.2.3-4-gabcdef0":            "", // commits after a tag
		"1.2.3-dirty":                 "",
		"1.2.4-SNAPSHOT-abcdef0":      "",
		"0.0.0-SNAPSHOT-none":         "",
		"abcdef0":                     "",
		"1.2.3\n":                     "",
		"1.2":                         "",
		"ghcr.io/somebody/else:1.2.3": "",
	} {
		if got := releasedImage(version); got != want {
			t.Errorf("version %q: %q, want %q", version, got, want)
		}
		if got := (providerModel{}).defaults(version, nil).Image; got != want {
			t.Errorf("version %q without agent_image: %q, want %q", version, got, want)
		}
	}
	given := "registry.example.com/agent:1"
	if got := (providerModel{AgentImage: &given}).defaults("1.2.3", nil).Image; got != given {
		t.Errorf("agent_image %q: %q", given, got)
	}
}
