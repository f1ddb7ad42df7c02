// Command setup brings the real components that the tests and the demo run on: make setup, with -opentofu and -release, and make demo, without.
//
//	setup              brings what is missing and says what each step did
//	setup -opentofu    the same, with OpenTofu also where Terraform is there: the tests run on both
//	setup -release     the same, with what a release is made with: a test makes one
//	setup -print-env   prints NAME=value lines: DOCKER_HOST and the tools' paths
//	setup -stop        ends the private Docker daemon that it started
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "setup:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("setup", flag.ExitOnError)
	printEnv := flags.Bool("print-env", false, "print DOCKER_HOST and the tools' paths as NAME=value")
	stopDaemon := flags.Bool("stop", false, "end the private Docker daemon")
	openTofu := flags.Bool("opentofu", false, "bring OpenTofu also where Terraform is there")
	releaseTools := flags.Bool("release", false, "bring GoReleaser and cyclonedx-gomod")
	ldflags := flags.String("ldflags", "-s -w", "linker flags of consulecs-agent")
	_ = flags.Parse(args) // ExitOnError: it does not return with one
	cache, err := toolcache.Open()
	if err != nil {
		return err
	}
	switch {
	case *printEnv:
		paths, err := cache.Find()
		for _, line := range paths.Env() {
			fmt.Println(line)
		}
		return err
	case *stopDaemon:
		return cache.StopDaemon(ctx)
	}
	repo, err := os.Getwd()
	if err != nil {
		return err
	}
	if _, err := os.Stat("toolchain/versions.json"); err != nil {
		return fmt.Errorf("run it from the root of the repository: %w", err)
	}
	return toolcache.Setup{Cache: cache, Repo: repo, LDFlags: *ldflags, OpenTofu: *openTofu, Release: *releaseTools, Out: os.Stdout}.Run(ctx)
}
