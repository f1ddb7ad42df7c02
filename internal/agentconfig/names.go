package agentconfig

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// Limits of Consul for the metadata of a service; lengths are in bytes.
const (
	maxMeta      = 64
	maxMetaKey   = 128
	maxMetaValue = 512
	maxMethod    = 128
)

// reservedMetaPrefix begins the keys that Consul keeps for itself.
const reservedMetaPrefix = "consul-"

// validWord is Consul's rule for keys of metadata and for names of auth methods, but for their length.
var validWord = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// check refuses what Consul refuses of a service. Its tags may be any texts.
func (s Service) check(path problem.Path, found *problem.List) {
	if s.Name != "" {
		if err := mesh.CheckServiceName(s.Name); err != nil {
			found.Add(path.Child("name"), "%v", err)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.Meta)) {
		at := path.Child("meta", problem.Key(key))
		switch {
		case !validWord.MatchString(key):
			found.Add(at, "has a key that Consul refuses, want letters, digits, '-' and '_'")
		case strings.HasPrefix(key, reservedMetaPrefix):
			found.Add(at, "has a key that begins with %s, which Consul keeps for itself: choose another", reservedMetaPrefix)
		case len(key) > maxMetaKey:
			found.Add(at, "has a key of %d bytes, want at most %d", len(key), maxMetaKey)
		case len(s.Meta[key]) > maxMetaValue:
			found.Add(at, "has a value of %d bytes, want at most %d", len(s.Meta[key]), maxMetaValue)
		}
	}
	all := maps.Clone(s.Meta)
	for _, key := range mesh.ServiceMeta() {
		if all != nil {
			all[key] = ""
		}
	}
	if len(all) > maxMeta {
		found.Add(path.Child("meta"), "has %d keys with those of the mesh's own, want at most %d", len(all), maxMeta)
	}
}

func checkMethodName(name string, path problem.Path, found *problem.List) {
	if name != "" && (len(name) > maxMethod || !validWord.MatchString(name)) {
		found.Add(path, "is %q, want 1 to %d letters, digits, '-' and '_', as Consul's auth methods are named", name, maxMethod)
	}
}

// checkDestination refuses what is no name in Consul. Names of services that others register there may be any others.
func checkDestination(name string, path problem.Path, found *problem.List) {
	if name == "*" || strings.ContainsFunc(name, unicode.IsControl) {
		found.Add(path, "is %q, which can be the name of no service: want one name, without a line's end", name)
	}
}
