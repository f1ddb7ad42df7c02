// Package passing is the health check of health-sync's container: it ends once Consul has held the task as passing for a
// moment. ECS takes a task for healthy only then, so that a replacement is in the mesh before its predecessor is stopped.
//
// ECS asks again and again, and each time the container runtime starts a program. So where ECS has heard of it already, the check
// stays for -hold (45 s by default) and ends then, or when health-sync does: there is one a minute, not twelve.
//
// Exit code 0: the task is in the mesh, now or earlier. 1: it was not within -timeout (50 s by default), health-sync has ended and
// is not back by then, or SIGTERM came.
package passing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentargs"
	"github.com/consulecs/terraform-provider-consulecs/internal/footprint"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

// Name is the agent's name on the command line.
const Name = mesh.CommandPassing

// retryPause is between two calls of a health-sync that is not there yet.
const retryPause = 100 * time.Millisecond

// Run waits until health-sync lets it through.
func Run(ctx context.Context, _ func(string) string, args []string, _, stderr io.Writer) error {
	flags := agentargs.New(Name, stderr)
	timeout := flags.Duration("timeout", 50*time.Second, "how long to wait; less than the health check's timeout")
	hold := flags.Duration("hold", 45*time.Second, "how long to stay where ECS knows already; no longer than -timeout")
	if err := agentargs.ParseOnly(flags, args); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	for {
		err := ask(ctx, *hold)
		if err == nil {
			return nil
		}
		if !sleep.For(ctx, retryPause) {
			return fmt.Errorf("the task is not in the mesh: %w", err)
		}
	}
}

// ask waits at the gate until it opens or health-sync ends.
func ask(ctx context.Context, hold time.Duration) error {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", mesh.SocketPassing)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	word := make([]byte, 1)
	if _, err := conn.Read(word); err != nil || word[0] != mesh.PassingKnown {
		return err
	}
	_ = footprint.Trim() // else it is larger than need be
	if err := conn.SetReadDeadline(time.Now().Add(hold)); err != nil {
		return err
	}
	if _, err := conn.Read(word); !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%s has ended: %w", mesh.ContainerHealthSync, err)
	}
	return nil
}
