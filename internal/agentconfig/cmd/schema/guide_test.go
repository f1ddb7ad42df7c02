package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPublishedSettingsAreCurrentAndAllExplained(t *testing.T) {
	t.Parallel()
	want, err := guide("../..", "../../../dataplanefile")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../../../docs/templates/guides/settings.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/templates/guides/settings.md.tmpl is not what the types say, run go generate ./internal/agentconfig (-types +file):\n%s", diff)
	}
	for line := range strings.Lines(string(want)) {
		if strings.HasSuffix(line, "|  |\n") {
			t.Errorf("a setting without a meaning: %s", line)
		}
	}
}
