package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestTheDocumentationNamesAgentsThatExist looks at each command line of consulecs-agent on the pages.
func TestTheDocumentationNamesAgentsThatExist(t *testing.T) {
	t.Parallel()
	pages := []string{"../README.md", "../CONTRIBUTING.md"}
	for _, pattern := range []string{"../docs/templates/*.tmpl", "../docs/templates/*/*.tmpl"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	call, seen := regexp.MustCompile("(?:`|/bin/|\")consulecs-agent ([a-z][a-z-]*)"), 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range call.FindAllSubmatch(text, -1) {
			if _, known := find([]string{string(m[1])}); !known {
				t.Errorf("%s: there is no consulecs-agent %s", page, m[1])
			}
			seen++
		}
	}
	if seen < 10 {
		t.Errorf("%d command lines are found: their form is another than this test's", seen)
	}
}
