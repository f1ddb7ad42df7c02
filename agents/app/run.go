// Package app is the optional wrapper of an application's command. It lets the application serve on for a while after
// SIGTERM, until its callers have heard that the task leaves the mesh:
//
//	consulecs-agent app [-shutdown-delay 0s] [--] command [argument…]
//
// The command gets the wrapper's stdin, stdout, stderr and environment, and all that follows its name. The first SIGTERM
// reaches it after -shutdown-delay, at once by default. A second one reaches it at once and ends the delay: nobody is told
// twice. All other signals are passed on at once. Signals go to the command's whole process group. As PID 1, the
// wrapper reaps what the command leaves behind.
//
// Exit code: the command's; 128 and the number of the signal that ended it; 1 if it could not be started; 2 if the
// wrapper's own arguments are wrong.
//
// The container's stop timeout has to be longer than the delay and what the application needs after it.
package app

import (
	"context"
	"io"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentargs"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/process"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

// Name is the agent's name on the command line; Alias is the incumbent's for it.
const (
	Name  = mesh.CommandApp
	Alias = mesh.CommandAppAlias
)

// Run runs the command. It takes the process's signals itself: no other goroutine may wait for any.
func Run(_ context.Context, _ func(string) string, args []string, _, stderr io.Writer) error {
	flags := agentargs.New(Name, stderr)
	delay := flags.Duration("shutdown-delay", 0, "how long the command serves on after SIGTERM")
	level := flags.String("log-level", "INFO", "the least level of the wrapper's own log lines: TRACE, DEBUG, INFO, WARN or ERROR")
	if err := agentargs.Parse(flags, args); err != nil {
		return err
	}
	switch {
	case *delay < 0:
		return agentargs.Errorf("-shutdown-delay %s is negative", *delay)
	case flags.NArg() == 0:
		return agentargs.Errorf("no command to run\nhint: app [-shutdown-delay 10s] [--] command [argument…]")
	}
	log := agentlog.New(Name, *level, false, stderr)
	return process.RunInFront(flags.Args(), func(ctx context.Context) {
		if *delay == 0 {
			return
		}
		log.Info("told to stop: the command serves on", "shutdown_delay", delay.String())
		sleep.For(ctx, *delay)
	})
}
