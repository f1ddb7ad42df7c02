// Command schema writes what is published about the agents' configuration from its Go types, the JSON Schema and the page
// of all settings: `go generate ./internal/agentconfig`.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	source := flag.String("source", ".", "folder of the package agentconfig, for its comments")
	file := flag.String("file", "../dataplanefile", "folder of the package dataplanefile, for its comments")
	out := flag.String("out", "", "file to write the JSON Schema to")
	page := flag.String("guide", "", "file to write the page to")
	flag.Parse()
	if err := run(*source, *file, *out, *page); err != nil {
		fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
}

func run(source, file, out, page string) error {
	schema, err := generate(source)
	if err != nil {
		return err
	}
	if err := os.WriteFile(out, schema, 0o644); err != nil {
		return err
	}
	text, err := guide(source, file)
	if err != nil {
		return err
	}
	return os.WriteFile(page, text, 0o644)
}
