package provider_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// Every block of the provider, of its resources and of its data sources is fed a key that nothing is called like and one that is nearly right:
// Terraform refuses both, and knows what was meant.
func TestUnknownKeysAreRefusedInEveryBlock(t *testing.T) {
	t.Parallel()
	onEveryBinary(t, testUnknownKeys)
}

func testUnknownKeys(t *testing.T, on *binary) {
	server, err := factories()["consulecs"]()
	if err != nil {
		t.Fatal(err)
	}
	schemas, err := server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range blocksIn(schemas.Provider.Block, nil) { // a configuration has one provider
		checkUnknownKeys(t, on, map[string]keyedBlock{`provider "consulecs"`: at})
	}
	resources := map[string]keyedBlock{}
	for name, s := range schemas.ResourceSchemas {
		for j, at := range blocksIn(s.Block, nil) {
			resources[fmt.Sprintf("resource %q \"r%d\"", name, j)] = at
		}
	}
	for name, s := range schemas.DataSourceSchemas {
		for j, at := range blocksIn(s.Block, nil) {
			resources[fmt.Sprintf("data %q \"d%d\"", name, j)] = at
		}
	}
	checkUnknownKeys(t, on, resources)
}

// keyedBlock is a block by the names that lead to it, and one of its keys, misspelt.
type keyedBlock struct {
	names []string
	wrong string
}

func blocksIn(b *tfprotov6.SchemaBlock, names []string) []keyedBlock {
	var keys []string
	for _, a := range b.Attributes {
		if a.Optional || a.Required {
			keys = append(keys, a.Name)
		}
	}
	for _, nested := range b.BlockTypes {
		keys = append(keys, nested.TypeName)
	}
	slices.Sort(keys)
	all := []keyedBlock{{names, strings.ReplaceAll(keys[0]+"s", "_", "")}}
	for _, nested := range b.BlockTypes {
		all = append(all, blocksIn(nested.Block, append(slices.Clone(names), nested.TypeName))...)
	}
	return all
}

// wrongKeys writes a configuration with two wrong keys in the block and returns the line of the first.
func wrongKeys(t *testing.T, file, frame string, at keyedBlock) int {
	t.Helper()
	var b strings.Builder
	line := 1
	for _, head := range append([]string{frame}, at.names...) {
		fmt.Fprintf(&b, "%s {\n", head)
		line++
	}
	fmt.Fprintf(&b, "%s = null\nno_such_key = 1\n%s\n", at.wrong, strings.Repeat("}\n", len(at.names)+1))
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return line
}

// checkUnknownKeys gives each of the blocks, by what it is written in, two wrong keys.
func checkUnknownKeys(t *testing.T, on *binary, blocks map[string]keyedBlock) {
	t.Helper()
	dir := workDir(t)
	dir.write(t, "frame.tf.json", fields{
		"terraform": requirements(),
		"resource":  fields{"consulecs_mesh_task": fields{"user": meshTask(nil)}}, // a provider that nobody uses is not looked at
	})
	want := map[string]string{} // by the file and the line that a wrong key is on
	for i, head := range slices.Sorted(maps.Keys(blocks)) {
		at, name := blocks[head], fmt.Sprintf("%03d.tf", i)
		line := wrongKeys(t, filepath.Join(string(dir), name), head, at)
		want[fmt.Sprintf("%s:%d", name, line)] = fmt.Sprintf("%s in %s %v", at.wrong, head, at.names)
		want[fmt.Sprintf("%s:%d", name, line+1)] = fmt.Sprintf("no_such_key in %s %v", head, at.names)
	}
	said, err := on.terraform(t, dir).Validate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range said {
		if d.Summary == "Unsupported argument" {
			delete(want, fmt.Sprintf("%s:%d", d.Range.Filename, d.Range.Start.Line))
		}
	}
	for where, key := range want {
		t.Errorf("%s: %s is not refused", where, key)
	}
}
