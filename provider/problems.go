package provider

import (
	"maps"
	"slices"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// problems is what is wrong with the provider's own block, as far as no attribute alone shows it.
func (m providerModel) problems() problem.List {
	var found problem.List
	if w := m.WebIdentity; w != nil {
		at := problem.At("assume_role_with_web_identity")
		token, file := at.Child("web_identity_token"), at.Child("web_identity_token_file")
		switch {
		case w.Token == nil && w.TokenFile == nil:
			found.AddWith([]problem.Path{file}, token, "is missing: want the token, or %s", file)
		case w.Token != nil && w.TokenFile != nil:
			found.AddWith([]problem.Path{file}, token, "is not allowed together with %s: want one of them", file)
		}
	}
	for _, kind := range []struct {
		name string
		on   *bool
	}{{"use_fips_endpoint", m.FIPS}, {"use_dualstack_endpoint", m.DualStack}} {
		if with := problem.At(kind.name); row.Value(kind.on) && m.Endpoints != nil {
			found.AddWith([]problem.Path{with}, problem.At("endpoints"), "is not allowed together with %s: AWS's SDK takes endpoints of AWS's own of that kind, or those that are given", with)
		}
	}
	if m.IgnoreTags == nil {
		return found
	}
	ignored := block.IgnoredTags{Keys: m.IgnoreTags.Keys, Prefixes: m.IgnoreTags.KeyPrefixes}
	at := problem.At("ignore_tags")
	ignored.Check(at.Child("keys"), at.Child("key_prefixes"), &found)
	for _, key := range slices.Sorted(maps.Keys(row.Value(m.DefaultTags).Tags)) {
		if ignored.Has(key) {
			found.AddWith([]problem.Path{at.Child("keys"), at.Child("key_prefixes")}, problem.At("default_tags", "tags", problem.Key(key)), "is a key that %s names: whoever ignores a tag cannot set it", at)
		}
	}
	return found
}
