package taskdef

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// maxDefinitionSize is ECS's limit for the registered JSON, in bytes.
const maxDefinitionSize = 64 << 10

// namedParts is how many parts of a definition that is too large are named.
const namedParts = 3

// part is a part of a definition.
type part struct {
	name  string
	bytes int
}

// checkSize refuses a definition that ECS would, and says what is large in it.
func checkSize(d *Definition, found *problem.List) {
	registered, err := awsjson.Marshal(d)
	if err != nil {
		found.Add(problem.At("containers"), "%v", err)
		return
	}
	if len(registered) <= maxDefinitionSize {
		return
	}
	parts, err := partsOf(d)
	if err != nil {
		found.Add(problem.At("containers"), "%v", err)
		return
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(b.bytes, a.bytes) })
	var largest []string
	for _, p := range parts[:min(namedParts, len(parts))] {
		largest = append(largest, fmt.Sprintf("%s (%d bytes)", p.name, p.bytes))
	}
	found.Add(problem.At("containers"), "makes a task definition of %d bytes, want at most %d: the largest parts are %s",
		len(registered), maxDefinitionSize, strings.Join(largest, ", "))
}

// partsOf are the fields of the containers, each as large as its JSON. The agents' configuration, which grows with the upstreams and has a
// copy in each container that reads it, is one part.
func partsOf(d *Definition) ([]part, error) {
	agents := part{name: "the agents' configuration, which grows with upstreams and their config"}
	var parts []part
	for _, c := range d.ContainerDefinitions {
		encoded, err := awsjson.Marshal(c)
		if err != nil {
			return nil, err
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(encoded, &fields); err != nil {
			return nil, fmt.Errorf("read the JSON of a container: %w", err)
		}
		configured := 0
		for _, e := range c.Environment {
			if aws.ToString(e.Name) == mesh.ConfigVariable {
				text, err := json.Marshal(aws.ToString(e.Value))
				if err != nil {
					return nil, fmt.Errorf("write the agents' configuration: %w", err)
				}
				configured = len(text)
			}
		}
		agents.bytes += configured
		for key, value := range fields {
			size := len(value)
			if key == "environment" {
				size -= configured
			}
			parts = append(parts, part{fmt.Sprintf("%s of container %s", key, aws.ToString(c.Name)), size})
		}
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.name, b.name) }) // maps have no order
	return append(parts, agents), nil
}
