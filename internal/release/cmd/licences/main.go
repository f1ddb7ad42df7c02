// Command licences writes the licence texts of what is linked into the provider and into the agents, for their archives and the
// agents' image: terraform-provider-consulecs.txt and consulecs-agent.txt in the folder that its argument names. It runs in the
// repository's root. Exit codes: 0 written, 1 an error.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/consulecs/terraform-provider-consulecs/internal/release"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%d arguments, want the folder to write to", len(args))
	}
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return err
	}
	for _, p := range release.Programs() {
		modules, err := release.Modules(ctx, ".", p.Platforms, p.Package)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(args[0], p.Name+".txt"), []byte(release.Text(p.Name, modules)), 0o644); err != nil {
			return err
		}
	}
	return nil
}
