// Command localecs serves an ECS on one machine, on Docker, in front of an AWS emulator.
//
//	localecs serve   brings a world up, or takes over what an earlier one left running
//	localecs down    removes every container, network, volume and file of a world
//	localecs tasks   lists the tasks of a running world with the timelines of their containers
//	localecs kill    sends a signal to the containers of a task, past ECS
//
// serve writes one line of JSON to stdout once it is ready, {"endpoint": …, "gateway": …, "subnet": …}, and logs to
// stderr. SIGTERM and SIGINT end it and leave the containers running. Every command explains its flags with --help.
//
// Exit codes: 0 = done, 1 = failed, 2 = called wrongly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `localecs is an ECS on one machine, on Docker, in front of an AWS emulator.

Usage: localecs <command> [flags]

  serve   bring a world up, or take over what an earlier one left running
  down    remove every container, network, volume and file of a world
  tasks   list the tasks of a running world with the timelines of their containers
  kill    send a signal to the containers of a task, past ECS

Run localecs <command> --help for the flags of a command.
`

// errUsage marks an error of the caller that has been explained already.
var errUsage = errors.New("called wrongly")

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	switch {
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "localecs:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	commands := map[string]func(context.Context, []string, io.Writer, io.Writer) error{
		"serve": serve, "down": down, "tasks": tasks, "kill": kill,
	}
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return errUsage
	}
	if args[0] == "--help" || args[0] == "-h" || args[0] == "help" {
		fmt.Fprint(stdout, usage)
		return nil
	}
	do, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(stderr, "localecs: no command %q\n\n%s", args[0], usage)
		return errUsage
	}
	err := do(ctx, args[1:], stdout, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	return err
}

// parse reads the flags of a command. Anything else on the line is an error.
func parse(fs *flag.FlagSet, args []string, stderr io.Writer) error {
	fs.SetOutput(stderr)
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil: // the flag package has said what is wrong
		return errUsage
	case fs.NArg() > 0:
		fmt.Fprintf(stderr, "localecs %s: unexpected argument %q\n", fs.Name(), fs.Arg(0))
		return errUsage
	}
	return nil
}
