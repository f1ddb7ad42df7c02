// Package netdial tells whether something listens at a TCP address. The incumbent's task definitions check the dataplane's
// health with it:
//
//	consulecs-agent net-dial [-timeout 4s] host:port
//
// Exit codes: 0 a connection came about, 2 none did (stderr says why), 1 wrong arguments.
package netdial

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentargs"
)

// Name is the agent's name on the command line.
const Name = "net-dial"

// exitNoConnection is the incumbent's.
const exitNoConnection = 2

// noConnection is the outcome that has an exit code of its own.
type noConnection struct{ error }

func (noConnection) ExitCode() int   { return exitNoConnection }
func (n noConnection) Unwrap() error { return n.error }

// Run dials once.
func Run(ctx context.Context, _ func(string) string, args []string, _, stderr io.Writer) error {
	flags := agentargs.New(Name, stderr)
	timeout := flags.Duration("timeout", 4*time.Second, "how long to wait; less than the health check's timeout")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("%d arguments, want one: host:port", flags.NArg())
	}
	if _, _, err := net.SplitHostPort(flags.Arg(0)); err != nil {
		return fmt.Errorf("%q is not host:port: %w", flags.Arg(0), err)
	}
	conn, err := (&net.Dialer{Timeout: *timeout}).DialContext(ctx, "tcp", flags.Arg(0))
	if err != nil {
		return noConnection{err}
	}
	return conn.Close()
}
