package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/eventbus"
)

// worldFlags are what serve and down have in common.
func worldFlags(fs *flag.FlagSet, cfg *localecs.Config) {
	fs.StringVar(&cfg.Name, "name", localecs.DefaultName, "name of the world; prefix of its containers and networks")
	fs.StringVar(&cfg.DockerHost, "docker-host", "", "Docker's address (default: DOCKER_HOST)")
	fs.StringVar(&cfg.StateDir, "state-dir", "", "where the state is kept (default: localecs/<name> in the user's cache directory)")
}

func stateDir(cfg *localecs.Config) error {
	if cfg.StateDir != "" {
		return nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("find a place for the state: %w\nhint: set --state-dir", err)
	}
	cfg.StateDir = filepath.Join(cache, "localecs", cfg.Name)
	return nil
}

func serve(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var cfg localecs.Config
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	worldFlags(fs, &cfg)
	fs.StringVar(&cfg.EmulatorURL, "emulator", "", "URL of moto or LocalStack, which answers for everything but ECS (required)")
	fs.StringVar(&cfg.Subnet, "subnet", "", "of the tasks' network (default: the first free /24 of 10.213.0.0/16)")
	fs.StringVar(&cfg.Region, "region", localecs.DefaultRegion, "AWS region")
	fs.StringVar(&cfg.AccountID, "account", localecs.DefaultAccountID, "AWS account ID")
	fs.IntVar(&cfg.Port, "port", 0, "port of the API on the network's gateway (default: the former one, or any free one)")
	events := eventbus.DefaultDisorder()
	fs.Float64Var(&events.Duplicates, "event-duplicates", events.Duplicates, "share of task state changes that reach a rule's targets twice, 0 to 1")
	fs.IntVar(&events.DelayMilliseconds, "event-delay", events.DelayMilliseconds, "milliseconds by which a task state change is late at the most, which mixes their order")
	order := fs.String("stop-order", string(engine.StopByDependency), "order of SIGTERM within a task: dependency or all-at-once")
	fs.BoolVar(&cfg.Quotas, "quotas", false, "throttle calls as ECS does")
	level := fs.String("log-level", "info", "trace, debug, info, warn or error")
	asJSON := fs.Bool("log-json", false, "log in JSON")
	if err := parse(fs, args, stderr); err != nil {
		return err
	}
	cfg.StopOrder, cfg.Events = engine.StopOrder(*order), &events
	switch {
	case cfg.EmulatorURL == "":
		fmt.Fprintln(stderr, "localecs serve: --emulator is required")
		return errUsage
	case cfg.StopOrder != engine.StopByDependency && cfg.StopOrder != engine.StopAllAtOnce:
		fmt.Fprintf(stderr, "localecs serve: --stop-order %q is neither dependency nor all-at-once\n", *order)
		return errUsage
	case events.Check() != nil:
		fmt.Fprintf(stderr, "localecs serve: --event-duplicates or --event-delay: %v\n", events.Check())
		return errUsage
	case cfg.Port < 0 || cfg.Port > 65535:
		fmt.Fprintf(stderr, "localecs serve: --port %d is not between 0 and 65535\n", cfg.Port)
		return errUsage
	case hclog.LevelFromString(*level) == hclog.NoLevel:
		fmt.Fprintf(stderr, "localecs serve: --log-level %q is unknown\n", *level)
		return errUsage
	}
	if err := stateDir(&cfg); err != nil {
		return err
	}
	cfg.Logger = hclog.New(&hclog.LoggerOptions{Name: "localecs", Level: hclog.LevelFromString(*level), Output: stderr, JSONFormat: *asJSON})
	return serveWorld(ctx, cfg, stdout)
}

// serveWorld serves until ctx ends or the API breaks.
func serveWorld(ctx context.Context, cfg localecs.Config, stdout io.Writer) error {
	s, err := localecs.Start(ctx, cfg)
	if err != nil {
		return err
	}
	ready := map[string]string{"endpoint": s.Endpoint, "gateway": s.Gateway.String(), "subnet": s.Subnet.String(), "name": cfg.Name}
	if err := json.NewEncoder(stdout).Encode(ready); err != nil {
		return errors.Join(fmt.Errorf("tell the endpoint: %w", err), s.Close())
	}
	select {
	case <-ctx.Done():
		cfg.Logger.Info("ending, the tasks go on")
		return s.Close()
	case err := <-s.Failed():
		return errors.Join(fmt.Errorf("serve the API: %w", err), s.Close())
	}
}

func down(ctx context.Context, args []string, _, stderr io.Writer) error {
	var cfg localecs.Config
	fs := flag.NewFlagSet("down", flag.ContinueOnError)
	worldFlags(fs, &cfg)
	if err := parse(fs, args, stderr); err != nil {
		return err
	}
	if err := stateDir(&cfg); err != nil {
		return err
	}
	cfg.Logger = hclog.New(&hclog.LoggerOptions{Name: "localecs", Output: stderr})
	return localecs.Down(ctx, cfg)
}
