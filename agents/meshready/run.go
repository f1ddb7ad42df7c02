// Package meshready is the agent that the application's containers wait for: it exits with code 0 the moment the proxy
// has its first configuration from Consul and serves, and in a task of several services all of its proxies do. ECS's own health checks would cost the application their interval.
//
// It asks Envoy's ready listener, at the address in the file that mesh-init left (-config-file, default
// /consul/consul-dataplane.json), 40 times a second. It gives up after -timeout, 5 minutes by default: with its exit code 1
// ECS does not start the application, and stops the task. SIGTERM ends it with exit code 1 too: the proxy was not ready.
package meshready

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentargs"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Name is the agent's name on the command line and in its log.
const Name = mesh.CommandMeshReady

const (
	defaultTimeout = 5 * time.Minute // longer than the dataplane tries to start
	poll           = 25 * time.Millisecond
)

// Run waits until the proxy is ready.
func Run(ctx context.Context, _ func(string) string, args []string, stdout, stderr io.Writer) error {
	flags := agentargs.New(Name, stderr)
	path := flags.String("config-file", dataplanefile.DefaultPath, "the file that mesh-init left")
	timeout := flags.Duration("timeout", defaultTimeout, "how long to wait at the most")
	if err := agentargs.ParseOnly(flags, args); err != nil {
		return err
	}
	file, err := dataplanefile.Read(*path)
	if err != nil {
		return err
	}
	log := agentlog.New(Name, file.Logging.LogLevel, file.Logging.LogJSON, stderr)
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, *timeout, fmt.Errorf("not within %s", *timeout))
	defer cancel()
	for _, one := range file.Each() {
		if err := await(ctx, one.Envoy); err != nil && len(file.FurtherProxies) > 0 {
			return fmt.Errorf("proxy %s: %w", one.Proxy.ID, err)
		} else if err != nil {
			return err
		}
	}
	log.Info("proxy is ready", "waited", time.Since(began).Round(time.Millisecond).String())
	return nil
}

// await looks first, then waits. An answer that ctx cut off says less than the one before it.
func await(ctx context.Context, e dataplanefile.Envoy) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	last := errors.New("never asked")
	for {
		err := envoy.CheckReady(ctx, e.Ready())
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the proxy: %w: last answer: %w\nhint: the log of the container consul-dataplane tells what it waits for", context.Cause(ctx), last)
		case <-tick.C:
		}
	}
}
