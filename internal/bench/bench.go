// Package bench measures what the product is judged by and prints medians with their goals. Everything is real: the program
// and the image that ship, Consul with ACLs and TLS, Envoy, tasks on a local ECS. The goals are never asserted: machines
// are noisy, and figures are for people to compare within one run.
//
// # Organization
//
// bench.go has the parts and their goals, stage.go what they are measured on. Each other file measures one thing, and is named
// after it. What draws, what loads and what counts are packages below.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	controllerbench "github.com/consulecs/terraform-provider-consulecs/internal/bench/controller"
	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
)

const limit = 60 * time.Second // of any one wait

// Settings say what is measured, and for how long. Defaults returns those of make bench.
type Settings struct {
	Dir       string        // for the state of what is started
	Agent     string        // the agents' program, as it ships
	Provider  string        // the provider's, as it ships
	Parts     []string      // by name; nil: all
	Samples   int           // of each time
	Round     time.Duration // of load, once
	Rest      time.Duration // for which an idle mesh is watched
	Upstreams int           // of the proxy whose first configuration is timed
	Tasks     int           // mesh tasks that are planned together
	Out       io.Writer

	ControllerTasks   []int // how many tasks there are when a controller is measured: once with each number
	ControllerServers []int // how many servers Consul has then: once with each number
}

// Defaults are the settings by which the figures are made that others are compared with.
func Defaults() Settings {
	controller := controllerbench.Defaults()
	return Settings{
		ControllerTasks: controller.Sizes, ControllerServers: controller.Servers,
		Agent: "bin/consulecs-agent", Provider: "bin/terraform-provider-consulecs",
		Samples: 5, Round: 3 * time.Second, Rest: time.Minute, Upstreams: 500, Tasks: 500,
	}
}

// part is what can be asked for by name.
type part struct {
	name, about string
	run         func(*bench, context.Context) error
}

// parts are in the order in which they run: what needs no world comes first.
func parts() []part {
	return []part{
		{"size", "the program, the images and the largest task definition", (*bench).sizes},
		{"provider", "the provider's start", (*bench).providerStarts},
		{"plan", "plans of many mesh tasks by the real Terraform", (*bench).plans},
		{"dns", "the DNS proxy before a real Consul", (*bench).dns},
		{"names", "calls by name: the listener, the answers and the requests", (*bench).names},
		{"xds", "the xDS proxy's share of a large first configuration", (*bench).xds},
		{"zones", "calls that stay in the zone, and a zone that dies", (*bench).zones},
		{"start", "starts and stops of tasks", (*bench).starts},
		{"redirect", "starts with transparent proxy", (*bench).redirected},
		{"heal", "a registration lost behind a task's back", (*bench).heals},
		{"kill", "tasks that die without a goodbye", (*bench).kills},
		{"undelivered", "requests lost when a task goes", (*bench).undelivered},
		{"traffic", "requests through two Envoys, and past them", (*bench).traffic},
		{"idle", "memory, processor time and writes at rest", (*bench).idle},
		{"writes", "Raft writes per start and stop", (*bench).writes},
		{"controller", "a controller among many tasks", (*bench).controller},
	}
}

// PartNames lists the parts for people, a line each.
func PartNames() string {
	var lines strings.Builder
	for _, p := range parts() {
		fmt.Fprintf(&lines, "  %-11s %s\n", p.name, p.about)
	}
	return lines.String()
}

// CheckParts says which of the names is no part's; nil means that Run takes them.
func CheckParts(names []string) error {
	_, err := choose(names)
	return err
}

// choose returns the parts of these names, in their own order; all of them where no name is given.
func choose(names []string) ([]part, error) {
	all := parts()
	for _, name := range names {
		if !slices.ContainsFunc(all, func(p part) bool { return p.name == name }) {
			return nil, fmt.Errorf("no part is called %q; the parts are:\n%s", name, PartNames())
		}
	}
	if len(names) == 0 {
		return all, nil
	}
	return slices.DeleteFunc(all, func(p part) bool { return !slices.Contains(names, p.name) }), nil
}

// bench is one run.
type bench struct {
	Settings
	began  time.Time
	table  figures.Table
	opened *stage // nil until a part needs it
}

// Run measures the parts one after the other and prints the figures to s.Out, progress before them. A part that fails does
// not keep the others from running. When ctx ends, what has been measured is printed. Nothing that was started outlives Run.
func Run(ctx context.Context, s Settings) error {
	chosen, err := choose(s.Parts)
	if err != nil {
		return err
	}
	b := &bench{Settings: s, began: time.Now()}
	var errs []error
	for _, p := range chosen {
		b.say("── %s: %s", p.name, p.about)
		if err := p.run(b, ctx); err != nil {
			errs = append(errs, fmt.Errorf("part %s: %w", p.name, err))
			b.say("NOT measured to the end: %v", err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	errs = append(errs, b.closeStage())
	b.say("── done\n")
	return errors.Join(append(errs, b.table.Print(s.Out))...)
}

// controller measures a controller in worlds of its own, where there is no room for real tasks.
func (b *bench) controller(ctx context.Context) error {
	s := controllerbench.Defaults()
	s.Agent, s.Samples, s.Say, s.Report = b.Agent, b.Samples, b.say, b.add
	s.Sizes, s.Servers = b.ControllerTasks, b.ControllerServers
	return controllerbench.Run(ctx, s)
}

// say prints a line of progress.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.Out, "%6.1f s  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

// add files samples of a figure.
func (b *bench) add(f figures.Figure, samples ...float64) { b.table.Add(f, samples...) }
