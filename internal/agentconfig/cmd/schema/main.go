// Command schema writes the JSON Schema of the agents' configuration from its Go types: `go generate ./internal/agentconfig`.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	source := flag.String("source", ".", "folder of the package agentconfig, for its comments")
	out := flag.String("out", "", "file to write")
	flag.Parse()
	if err := run(*source, *out); err != nil {
		fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
}

func run(source, out string) error {
	schema, err := generate(source)
	if err != nil {
		return err
	}
	return os.WriteFile(out, schema, 0o644)
}
