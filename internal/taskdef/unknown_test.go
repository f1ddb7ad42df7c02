package taskdef_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

// TestNoUnknownValueIsBlamed makes every value, element, object and list of every case unknown in turn: what a plan does not
// know yet is left empty, and nothing may be said that follows from that.
func TestNoUnknownValueIsBlamed(t *testing.T) {
	t.Parallel()
	for _, dir := range cases(t) {
		check := checkSpec
		data, err := os.ReadFile(filepath.Join(dir, "spec.json"))
		if errors.Is(err, fs.ErrNotExist) {
			check = checkController
			data, err = os.ReadFile(filepath.Join(dir, "controller.json"))
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			var whole any
			if err := json.Unmarshal(data, &whole); err != nil {
				t.Fatal(err)
			}
			places := 0
			each(whole, nil, func(any) {}, func(unknown problem.Path) {
				places++
				changed, err := json.Marshal(whole)
				if err != nil {
					t.Fatal(err)
				}
				found, err := check(changed)
				if err != nil {
					t.Fatalf("%s: %v", unknown, err)
				}
				for _, p := range found.Without(unknown) {
					t.Errorf("%s is not known: %v", unknown, p)
				}
			})
			if places < 5 {
				t.Errorf("only %d places", places)
			}
		})
	}
}

func checkSpec(data []byte) (problem.List, error) {
	var spec taskdef.Spec
	err := json.Unmarshal(data, &spec)
	return taskdef.Check(spec), err
}

func checkController(data []byte) (problem.List, error) {
	var spec taskdef.ControllerSpec
	err := json.Unmarshal(data, &spec)
	return taskdef.CheckController(spec), err
}

// maps of the user's: what lies in them are keys, not fields.
var userMaps = []string{"tags", "meta", "options", "environment", "driverOpts", "labels"}

// each calls visit for every place at and below value while what is there is taken out; set puts something else in the
// place of value.
func each(value any, at problem.Path, set func(any), visit func(problem.Path)) {
	if len(at) > 0 {
		set(empty(value, at))
		visit(at)
		set(value)
	}
	name := ""
	if len(at) > 0 {
		name = fmt.Sprint(at[len(at)-1])
	}
	switch v := value.(type) {
	case map[string]any:
		if name == "config" || name == "meshGateway" { // one text in the resource
			return
		}
		for key, inner := range v {
			var step any = spelled(key)
			if slices.Contains(userMaps, name) {
				step = problem.Key(key)
			}
			below := at.Child(step)
			if key == "definition" {
				below = at
			}
			if key == "module" { // the provider's own
				continue
			}
			if key == "definition" {
				eachField(inner.(map[string]any), at, visit)
				continue
			}
			each(inner, below, func(other any) { v[key] = other }, visit)
		}
	case []any:
		for i, inner := range v {
			if pair, ok := inner.(map[string]any); ok && slices.Contains([]string{"environment", "secrets", "secretOptions"}, name) {
				field := map[string]string{"environment": "value", "secrets": "valueFrom", "secretOptions": "valueFrom"}[name]
				had := pair[field]
				each(had, at.Child(problem.Key(fmt.Sprint(pair["name"]))), func(other any) { pair[field] = other }, visit)
				continue
			}
			below := at.Child(i)
			if name == "launchTypes" { // a set, whose elements have no places
				below = at
			}
			each(inner, below, func(other any) { v[i] = other }, func(problem.Path) { visit(below) })
		}
	}
}

// eachField is each for a container's definition, which adds no step.
func eachField(definition map[string]any, at problem.Path, visit func(problem.Path)) {
	for key, inner := range definition {
		each(inner, at.Child(spelled(key)), func(other any) { definition[key] = other }, visit)
	}
}

// spelled is a field's name as problems have it.
func spelled(key string) string {
	if key == "ephemeralStorageGiB" {
		return "ephemeralStorageGib"
	}
	return key
}

// empty is what is left where a value is not known: nothing, or in lists and maps an empty element.
func empty(value any, at problem.Path) any {
	last := at[len(at)-1]
	if _, isField := last.(string); isField && last != "launchTypes" {
		return nil
	}
	switch value.(type) {
	case string:
		return ""
	case float64:
		return 0
	case bool:
		return false
	case map[string]any:
		return map[string]any{}
	}
	return nil
}
