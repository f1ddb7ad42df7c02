// Command demo plays the demo of the README: the whole mesh on this machine. Exit codes: 0 when every step was as it
// should be, 1 when one was not or the world could not be taken down, 2 on wrong arguments.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/consulecs/terraform-provider-consulecs/internal/demo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	dir := flag.String("dir", ".demo", "folder of the world's state, made and removed by the demo")
	name := flag.String("name", demo.DefaultName, "name of the world: demos that run at the same time need different ones")
	examples := flag.String("examples", "examples/local", "folder of the Terraform configuration")
	bin := flag.String("bin", "bin", "folder with the built provider")
	keep := flag.Bool("keep", false, "stop before the destruction and leave the world up")
	down := flag.Bool("down", false, "take the world of an earlier demo down and end")
	hold := flag.Bool("hold", false, "be the process that holds the world up (the demo starts it itself)")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "demo: argument %q: want flags only\n", flag.Arg(0))
		os.Exit(2)
	}
	for _, folder := range []*string{dir, examples, bin} {
		abs, err := filepath.Abs(*folder)
		if err != nil {
			return err
		}
		*folder = abs
	}
	switch {
	case *hold:
		return demo.Hold(ctx, *name, *dir)
	case *down:
		return demo.Down(ctx, *name, *dir)
	}
	return demo.Run(ctx, demo.Config{Name: *name, Dir: *dir, Examples: *examples, Provider: *bin, Keep: *keep, Out: os.Stdout})
}
