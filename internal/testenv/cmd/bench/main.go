// Command bench prints the figures that the product is judged by. Exit codes: 0 printed, 1 an error, 2 wrong usage.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/bench"
)

func main() {
	n := flag.Int("n", 5, "samples of each time")
	flag.Parse()
	if flag.NArg() > 0 || *n < 1 {
		fmt.Fprintln(os.Stderr, "bench: want no argument, and -n of 1 at least")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, *n); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, n int) error {
	dir, err := os.MkdirTemp("", "consulecs-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return bench.Run(ctx, dir, n, os.Stdout)
}
