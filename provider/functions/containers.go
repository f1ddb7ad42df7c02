package functions

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/containerjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/canonical"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// parseContainers reads container definitions in ECS's JSON. What the block has no attribute for is an error: left out, it would be
// missed at run time alone.
func parseContainers(text string) ([]block.Container, error) {
	definitions, wrong := containerjson.Parse(text)
	if err := wrong.Err(); err != nil {
		return nil, fmt.Errorf("read container definitions: %w", err)
	}
	all := []block.Container{}
	var lost problem.List
	for i, d := range definitions {
		var c block.Container
		row.FromWritten(&c, d)
		was, err := plainContainer(d)
		if err != nil {
			return nil, err
		}
		is, err := plainContainer(c.Spec().Definition)
		if err != nil {
			return nil, err
		}
		missing(was, is, problem.At(i), &lost)
		all = append(all, c)
	}
	if err := lost.Err(); err != nil {
		return nil, fmt.Errorf("read container definitions: %w", err)
	}
	return all, nil
}

func plainContainer(d ecstypes.ContainerDefinition) (plain map[string]any, err error) {
	encoded, err := awsjson.Marshal(d)
	if err == nil {
		err = json.Unmarshal(encoded, &plain)
	}
	if err != nil {
		return nil, fmt.Errorf("read container definitions: %w", err)
	}
	return plain, nil
}

// missing tells what says something in was and is not in is. Lists may be in another order: of what lies in them, the number counts
// and the keys.
func missing(was, is any, at problem.Path, found *problem.List) {
	switch was := was.(type) {
	case map[string]any:
		other, _ := is.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(was)) {
			if other[key] == nil && !canonical.SaysNothing(key, was[key]) {
				found.Add(at.Child(key), "has no counterpart in the block container of consulecs_mesh_task: leave it out")
				continue
			}
			missing(was[key], other[key], at.Child(key), found)
		}
	case []any:
		other, _ := is.([]any)
		if len(was) != len(other) {
			found.Add(at, "has %d elements, of which %d have names of their own: give each another name", len(was), len(other))
			return
		}
		for i := range was {
			missing(was[i], other[i], at.Child(i), found)
		}
	}
}
