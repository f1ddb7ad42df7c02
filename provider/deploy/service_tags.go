package deploy

import (
	"maps"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// tagsOfBoth are the tags that the definition and the ECS service, which bears the same, have in common: what the service lacks is
// left out, and of what it has otherwise, its value counts. So whatever was changed of the one or the other shows in a plan. The
// version of the provider that made them is kept from one apply to the next, hence a wrong one is left out.
func tagsOfBoth(definition, service map[string]string) map[string]string {
	both := maps.Clone(definition)
	maps.DeleteFunc(both, func(key, value string) bool {
		has, ok := service[key]
		return !ok || key == mesh.TaskTagModuleVersion && has != value
	})
	for key := range both {
		both[key] = service[key]
	}
	return both
}

// ownTags are those of a service's tags that the resource wants or once set. The others are others'.
func ownTags(service, want, had map[string]string) map[string]string {
	own := maps.Clone(service)
	maps.DeleteFunc(own, func(key, _ string) bool {
		_, wanted := want[key]
		_, set := had[key]
		return !wanted && !set
	})
	return own
}
