// Command platforms compiles every program of a release for each of its platforms, as GoReleaser will, and keeps nothing. It runs in the
// repository's root. Exit codes: 0 all compile, 1 an error.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/consulecs/terraform-provider-consulecs/internal/release"
)

func main() {
	var failures []error
	for _, p := range release.Programs() {
		for _, on := range p.Platforms {
			failures = append(failures, compile(context.Background(), p.Package, on))
		}
	}
	if err := errors.Join(failures...); err != nil {
		fmt.Fprintln(os.Stderr, "platforms:", err)
		os.Exit(1)
	}
}

func compile(ctx context.Context, program string, on release.Platform) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", os.DevNull, program)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+on.OS, "GOARCH="+on.Arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s for %s/%s: %w\n%s", program, on.OS, on.Arch, err, out)
	}
	fmt.Println(program, on.OS+"/"+on.Arch)
	return nil
}
