package block_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/internal/containerjson"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// TestJSONAsksForWhatBlocksAskFor gives the JSON reader every object of a container with nothing in it: what it misses is what the block
// of the same name requires. Names and images are checked elsewhere, for blocks and JSON alike.
func TestJSONAsksForWhatBlocksAskFor(t *testing.T) {
	t.Parallel()
	_, blocks := block.ContainerFields().Split()
	asked := 0
	compare(t, blocks, reflect.TypeFor[block.Container](), `[{"name":"a","image":"a:1",%s}]`, 1, &asked)
	if asked < 15 {
		t.Errorf("only %d objects have been compared", asked)
	}
}

// compare goes through the blocks; around is the JSON around a field of theirs, which lies so deep in it.
func compare(t *testing.T, blocks map[string]schema.Block, model reflect.Type, around string, depth int, asked *int) {
	t.Helper()
	for name, b := range blocks {
		if name == "mesh" {
			continue
		}
		field := fieldOf(t, model, name)
		key := strings.ToLower(field.Name[:1]) + field.Name[1:]
		below, at := fmt.Sprintf("%q:{%%s}", key), depth+1
		var deeper map[string]schema.Block
		var want []string
		switch b := b.(type) {
		case schema.SingleNestedBlock:
			deeper = b.Blocks
			for _, v := range b.Validators {
				if required, ok := v.(row.Requires); ok {
					want = append(want, required...)
				}
			}
		case schema.ListNestedBlock:
			deeper = b.NestedObject.Blocks
			below, at = fmt.Sprintf("%q:[{%%s}]", key), depth+2
			for attribute, a := range b.NestedObject.Attributes {
				if a.IsRequired() {
					want = append(want, attribute)
				}
			}
		}
		element := field.Type
		for element.Kind() == reflect.Pointer || element.Kind() == reflect.Slice {
			element = element.Elem()
		}
		whole := fmt.Sprintf(around, below)
		_, found := containerjson.Parse(fmt.Sprintf(whole, ""))
		var got []string
		for _, p := range found {
			if p.Message() == "is missing" && len(p.Path) == at+1 {
				got = append(got, tag(t, element, fmt.Sprint(p.Path[len(p.Path)-1])))
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Errorf("a block %s requires %v, its JSON %v", name, want, got)
		}
		*asked++
		compare(t, deeper, element, whole, at, asked)
	}
}

func fieldOf(t *testing.T, model reflect.Type, name string) reflect.StructField {
	t.Helper()
	for i := range model.NumField() {
		if model.Field(i).Tag.Get("tfsdk") == name {
			return model.Field(i)
		}
	}
	t.Fatalf("%s has no field for %s", model, name)
	return reflect.StructField{}
}

// tag is the attribute of a model whose JSON key is given.
func tag(t *testing.T, model reflect.Type, key string) string {
	t.Helper()
	for i := range model.NumField() {
		if strings.EqualFold(model.Field(i).Name, key) {
			return model.Field(i).Tag.Get("tfsdk")
		}
	}
	t.Fatalf("%s has no field for %s", model, key)
	return ""
}
