package meshtask

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/containerjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// attributeJSON has further containers in ECS's own words. They follow those of the blocks, and the same is checked of them.
const attributeJSON = "container_definitions_json"

// described are the containers that the JSON describes, and what is wrong with it as such, at places in it.
func (m *model) described() ([]ecstypes.ContainerDefinition, problem.List) {
	if m.ContainersJSON == nil {
		return nil, nil
	}
	return containerjson.Parse(*m.ContainersJSON)
}

// containers are all of the user's, with the images that are followed.
func (m *model) containers() []taskdef.Container {
	var all []taskdef.Container
	for _, c := range m.Containers {
		all = append(all, c.Spec())
	}
	described, _ := m.described()
	for _, d := range described {
		all = append(all, taskdef.Container{Definition: d})
	}
	for i := range all {
		if image, ok := m.FollowedImages[aws.ToString(all[i].Definition.Name)]; ok {
			all[i].Definition.Image = &image
		}
	}
	return all
}

// images are the configured images of the user's containers, by their names.
func (m *model) images() map[string]string {
	all := map[string]string{}
	for _, c := range m.Containers {
		all[row.Value(c.Name)] = row.Value(c.Image)
	}
	described, _ := m.described()
	for _, d := range described {
		all[aws.ToString(d.Name)] = aws.ToString(d.Image)
	}
	return all
}

// withJSON adds what is wrong with the JSON, and moves to it what was found about the containers that it describes. What depends on
// which containers there are depends on it, too, as long as it is not known.
func (m *model) withJSON(found problem.List) problem.List {
	described, wrong := m.described()
	moved := func(at problem.Path) problem.Path {
		if len(at) < 2 || at[0] != "containers" {
			return at
		}
		i, ok := at[1].(int)
		if i -= len(m.Containers); !ok || i < 0 {
			return at
		}
		return problem.At(attributeJSON, i).Child(inList(at[2:], described[i])...)
	}
	all, asked := problem.At("containers"), problem.At(attributeJSON)
	isAll := func(at problem.Path) bool { return len(at) == 1 && at.Within(all) }
	var unread []problem.Path
	for i, p := range wrong {
		wrong[i] = p.In(func(at problem.Path) problem.Path { return asked.Child(at...) })
		unread = append(unread, wrong[i].Path)
	}
	for i, p := range found {
		found[i] = p.In(moved)
		if isAll(p.Path) || slices.ContainsFunc(p.With, isAll) {
			found[i].With = append(found[i].With, asked)
		}
	}
	return append(wrong, found.Without(unread...)...)
}

// inList is a place in a container definition where what blocks have as a map is a list of pairs: environment["A"] is
// environment[0] there.
func inList(at problem.Path, d ecstypes.ContainerDefinition) problem.Path {
	var names []*string
	place := slices.Clone(at)
	for i, step := range at {
		switch step {
		case "environment":
			for _, variable := range d.Environment {
				names = append(names, variable.Name)
			}
		case "secrets":
			for _, secret := range d.Secrets {
				names = append(names, secret.Name)
			}
		case "secretOptions":
			for _, option := range d.LogConfiguration.SecretOptions {
				names = append(names, option.Name)
			}
		}
		key, isKey := step.(problem.Key)
		if !isKey {
			continue
		}
		index := slices.IndexFunc(names, func(name *string) bool { return aws.ToString(name) == string(key) })
		if index >= 0 {
			place[i] = index
		}
	}
	return place
}
