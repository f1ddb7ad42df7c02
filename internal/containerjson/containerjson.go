// Package containerjson reads ECS's own JSON of container definitions, as consoles, task definition files and
// aws_ecs_task_definition have it, and says of each field that is wrong where it lies, as in [1].portMappings[0].containerPort. The
// package is pure.
//
// Where JSON, or what writes it, leaves a choice, this is what holds:
//
//   - Keys are in camel case, or with a capital as the SDK's and CloudFormation's are: portMappings or PortMappings. A key that is
//     there twice, in the one or the other, is refused; parsers differ in which of the two counts.
//   - null for a field means that the field is not set, since descriptions and optional values of Terraform spell it out. An
//     element that is null, of a list or of a map, is refused: it would be left out without a word.
//   - A number is whole if its value is: 80, 80.0 and 8e1 are one port. "80" is a text and refused, as ECS refuses it.
//   - A key that ECS does not know is refused, and so is a word that is none of ECS's, such as a protocol.
package containerjson

import (
	"encoding/json"
	"reflect"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// Parse reads a list of container definitions. What is wrong is told at its place, and left out of the result: of a text that is no
// JSON there is none.
func Parse(text string) ([]ecstypes.ContainerDefinition, problem.List) {
	var found problem.List
	root, err := read(text)
	if err != nil {
		found.Add(problem.At(), "is no JSON: %v", err)
		return nil, found
	}
	switch {
	case root.value == object{} && root.has("containerDefinitions"):
		found.Add(problem.At(), "is a whole task definition: want the list that is its containerDefinitions")
		return nil, found
	case root.value != list{}:
		found.Add(problem.At(), "is %s, want a list of container definitions, also around a single one", root.kind())
		return nil, found
	}
	plain := reader{&found}.list(root, reflect.TypeFor[[]ecstypes.ContainerDefinition](), problem.Path{})
	written, err := json.Marshal(plain)
	var containers []ecstypes.ContainerDefinition
	if err == nil {
		containers, err = decode(written)
	}
	if err != nil { // what the reader lets through is of the right types
		found.Add(problem.At(), "cannot be read: %v", err)
	}
	return containers, found
}

func decode(text []byte) ([]ecstypes.ContainerDefinition, error) {
	var containers []ecstypes.ContainerDefinition
	return containers, awsjson.UnmarshalStrict(text, &containers)
}

func (n node) has(key string) bool {
	for _, m := range n.members {
		if lowerFirst(m.key) == key {
			return true
		}
	}
	return false
}
