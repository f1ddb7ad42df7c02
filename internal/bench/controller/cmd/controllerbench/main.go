// Command controllerbench measures a controller alone, with settings of one's own: fewer tasks, another program. make bench
// PARTS=controller is the way to the figures that others are compared with. Exit codes: 0 printed, 1 an error, 2 wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	controllerbench "github.com/consulecs/terraform-provider-consulecs/internal/bench/controller"
	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
)

func main() {
	s := controllerbench.Defaults()
	flag.StringVar(&s.Agent, "agent", s.Agent, "the agents' program")
	flag.DurationVar(&s.Rest, "rest", s.Rest, "for which a controller at rest is watched")
	flag.DurationVar(&s.Settle, "settle", s.Settle, "after its start, before it counts as at rest")
	flag.IntVar(&s.Samples, "n", s.Samples, "samples of a single death")
	flag.IntVar(&s.Writes, "writes", s.Writes, "the most writes a second of the controller (default its own)")
	flag.Var((*controllerbench.Numbers)(&s.Sizes), "sizes", "how many tasks, `numbers` with commas between")
	flag.Var((*controllerbench.Numbers)(&s.Servers), "servers", "how many servers, `numbers` with commas between")
	flag.Parse()
	began := time.Now()
	s.Say = func(format string, args ...any) {
		fmt.Printf("%6.1f s  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	var table figures.Table
	s.Report = table.Add
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	err := controllerbench.Run(ctx, s)
	if err = errors.Join(err, table.Print(os.Stdout)); err != nil { // what there is, if it was interrupted
		fmt.Fprintln(os.Stderr, "controllerbench:", err)
		os.Exit(1)
	}
}
