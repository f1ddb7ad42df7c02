package taskdef_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const golden = "task-definition.golden.json"

func TestGoldens(t *testing.T) {
	t.Parallel()
	for _, dir := range cases(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			definition := build(t, dir)
			got, err := awsjson.MarshalIndent(definition)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(dir, golden)
			if *update {
				if err := os.WriteFile(name, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatalf("read the golden file, which -update writes: %v", err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		})
	}
}

func cases(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob("testdata/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no cases in testdata: %v", err)
	}
	return dirs
}

// build makes the definition of a case, from its spec.json or its controller.json.
func build(t *testing.T, dir string) *taskdef.Definition {
	t.Helper()
	var definition *taskdef.Definition
	var spec taskdef.Spec
	err := read(filepath.Join(dir, "spec.json"), &spec)
	if err == nil {
		definition, err = taskdef.Build(spec)
	} else if errors.Is(err, fs.ErrNotExist) {
		var controller taskdef.ControllerSpec
		if err = read(filepath.Join(dir, "controller.json"), &controller); err == nil {
			definition, err = taskdef.BuildController(controller)
		}
	}
	if err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	return definition
}

func read(name string, into any) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}
