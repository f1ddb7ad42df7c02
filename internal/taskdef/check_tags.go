package taskdef

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// Limits of AWS for tags. What the provider makes bears two tags more, which name the resource that made it.
const (
	maxTags         = 50
	maxTagKey       = 128
	maxTagValue     = 256
	tagsOfOwnership = 2
)

// validTag is AWS's rule for the keys and values of tags.
var validTag = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// checkTags checks the user's tags, to which the mesh adds as many as ours.
func checkTags(tags map[string]string, ours int, found *problem.List) {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		path := problem.At("tags", problem.Key(key))
		reserved := func(prefix string) bool { return strings.HasPrefix(key, prefix) }
		switch {
		case slices.ContainsFunc(mesh.TagPrefixes(), reserved):
			found.Add(path, "is a key of the mesh: choose another")
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			found.Add(path, "begins with aws:, which AWS keeps for itself")
		case key == "" || utf8.RuneCountInString(key) > maxTagKey:
			found.Add(path, "has a key of %d characters, want 1 to %d", utf8.RuneCountInString(key), maxTagKey)
		case utf8.RuneCountInString(tags[key]) > maxTagValue:
			found.Add(path, "has a value of %d characters, want at most %d", utf8.RuneCountInString(tags[key]), maxTagValue)
		case !validTag.MatchString(key) || !validTag.MatchString(tags[key]):
			found.Add(path, "has a character that AWS refuses: letters, digits, spaces and _ . : / = + - @ are allowed")
		}
	}
	if n := len(tags) + ours + tagsOfOwnership; n > maxTags {
		found.Add(problem.At("tags"), "has %d keys, %d of them the mesh's own, want at most %d", n, ours+tagsOfOwnership, maxTags)
	}
}
