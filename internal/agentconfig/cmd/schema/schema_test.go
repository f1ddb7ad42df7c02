package main

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPublishedSchemaIsCurrent(t *testing.T) {
	t.Parallel()
	want, err := generate("../..")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../../../docs/agent-config.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/agent-config.schema.json is not what the types say, run go generate ./internal/agentconfig (-types +file):\n%s", diff)
	}
}
