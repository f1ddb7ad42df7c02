package block

import (
	"maps"
	"slices"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// IgnoredTags are tags that something else puts on what the provider makes.
type IgnoredTags struct{ Keys, Prefixes []string }

// Has reports whether a tag is one of them.
func (t IgnoredTags) Has(key string) bool {
	return slices.Contains(t.Keys, key) || slices.ContainsFunc(t.Prefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}

// Without takes them out of tags.
func (t IgnoredTags) Without(tags map[string]string) map[string]string {
	maps.DeleteFunc(tags, func(key, _ string) bool { return t.Has(key) })
	return tags
}

// Check refuses those of the mesh, by which a resource knows what is its own.
func (t IgnoredTags) Check(keys, prefixes problem.Path, found *problem.List) {
	for _, own := range mesh.TagPrefixes() {
		for _, key := range t.Keys {
			if strings.HasPrefix(key, own) {
				found.Add(keys, "has %q, a key of the mesh: controllers know tasks by it, and the provider what is its own", key)
			}
		}
		for _, prefix := range t.Prefixes {
			if strings.HasPrefix(own, prefix) || strings.HasPrefix(prefix, own) {
				found.Add(prefixes, "has %q, with which keys of the mesh begin, such as %s: controllers know tasks by them, and the provider what is its own", prefix, own)
			}
		}
	}
}

// CheckTags refuses tags of a resource that the provider ignores.
func (d Defaults) CheckTags(tags map[string]string, found *problem.List) {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		if d.IgnoredTags.Has(key) {
			found.Add(problem.At("tags", problem.Key(key)), "is a key that the provider's ignore_tags names: whoever ignores a tag cannot set it")
		}
	}
}
