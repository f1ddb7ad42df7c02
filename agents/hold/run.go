// Package hold is the incumbent's wrapper of the dataplane. It keeps SIGTERM from the dataplane until the application has
// stopped, for a dataplane that does not wait by itself:
//
//	consulecs-agent envoy-entrypoint [--] command [argument…]
//
// The command gets the wrapper's stdin, stdout, stderr and environment, and all that follows its name. The first SIGTERM
// reaches it when every container of the application has stopped, after 25 s at the latest (ECS kills after 30, unless
// told otherwise), or with the second SIGTERM. All other signals are passed on at once, to the command's whole process
// group. As PID 1, the wrapper reaps what the command leaves behind.
//
// Environment: ECS_CONTAINER_METADATA_URI_V4 is set by ECS; required.
//
// Exit code: the command's; 128 and the number of the signal that ended it; 1 if it could not be started; 2 if the
// wrapper's own arguments are wrong.
package hold

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentargs"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/process"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

// Name is the agent's name on the command line.
const Name = "envoy-entrypoint"

const atMost = 25 * time.Second

// Run runs the command. It takes the process's signals itself: no other goroutine may wait for any.
func Run(_ context.Context, getenv func(string) string, args []string, _, stderr io.Writer) error {
	flags := agentargs.New(Name, stderr)
	level := flags.String("log-level", "INFO", "the least level of the wrapper's own log lines: TRACE, DEBUG, INFO, WARN or ERROR")
	if err := agentargs.Parse(flags, args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return agentargs.Errorf("no command to run\nhint: envoy-entrypoint [--] command [argument…]")
	}
	metadata, err := taskmeta.New(getenv(taskmeta.Variable))
	if err != nil {
		return err
	}
	log := agentlog.New(Name, *level, false, stderr)
	return process.RunInFront(flags.Args(), func(ctx context.Context) {
		log.Info("told to stop: the command goes on until the application has stopped", "at_most", atMost.String())
		awaitApplication(ctx, metadata, log)
	})
}

// awaitApplication returns when no container of the application runs any more, when ctx ends, or after atMost.
func awaitApplication(ctx context.Context, metadata *taskmeta.Endpoint, log hclog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	if _, err := metadata.AwaitStopped(ctx, mesh.InjectedContainers()...); err != nil && !errors.Is(err, taskmeta.ErrGone) {
		log.Warn("not waiting any longer for the application")
		return
	}
	log.Info("application has stopped")
}
