// Command bench prints the figures that the product is judged by. Run it by make bench: it wants what make setup and make
// build leave. Exit codes: 0 printed, 1 an error, 2 wrong usage.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/consulecs/terraform-provider-consulecs/internal/bench"
	controllerbench "github.com/consulecs/terraform-provider-consulecs/internal/bench/controller"
)

func main() {
	s := bench.Defaults()
	flag.IntVar(&s.Samples, "n", s.Samples, "samples of each figure")
	flag.IntVar(&s.Tasks, "tasks", s.Tasks, "mesh tasks that are planned together")
	parts := flag.String("parts", "", "names of the parts to run, with commas between them; all by default")
	flag.Var((*controllerbench.Numbers)(&s.ControllerTasks), "controller-tasks", "how many tasks there are in the part controller, `numbers` with commas between")
	flag.Var((*controllerbench.Numbers)(&s.ControllerServers), "controller-servers", "how many servers Consul has there, `numbers` with commas between")
	flag.Usage = usage
	flag.Parse()
	if flag.NArg() > 0 || s.Samples < 1 || s.Tasks < 1 {
		fmt.Fprintln(os.Stderr, "bench: want no argument, and -n and -tasks of 1 at least")
		os.Exit(2)
	}
	s.Parts = strings.FieldsFunc(*parts, func(r rune) bool { return r == ',' || r == ' ' })
	if err := bench.CheckParts(s.Parts); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

const controllerUsage = `
The part controller takes about twenty minutes on two cores with its own numbers of tasks. More are measured when asked for,
each where there is enough free memory, and take longer:

  make bench PARTS=controller CONTROLLER_TASKS=50000 CONTROLLER_SERVERS=3
`

func usage() {
	fmt.Fprintf(os.Stderr, "Usage: make bench [PARTS=dns,xds] [SAMPLES=5], or bin/bench [-parts dns,xds] [-n 5] [-tasks 500]\n\n")
	flag.PrintDefaults()
	fmt.Fprintf(os.Stderr, "\nThe parts:\n%s", bench.PartNames())
	fmt.Fprint(os.Stderr, controllerUsage)
}

func run(ctx context.Context, s bench.Settings) (err error) {
	if s.Dir, err = os.MkdirTemp("", "consulecs-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(s.Dir)
	s.Out = os.Stdout
	return bench.Run(ctx, s)
}
