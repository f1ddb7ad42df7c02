// Package ready is the health check of the dataplane's container: it asks Envoy's ready listener once, at the address in
// the file that mesh-init left (-config-file, default /consul/consul-dataplane.json), and those of the other Envoys in a task of
// several services.
//
// Exit code 0: Envoy is live, its first configuration is applied. 1: it is not, or does not answer within 2 s.
package ready

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentargs"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Name is the agent's name on the command line.
const Name = mesh.CommandReady

// timeout is below the shortest that ECS allows a health check, 2 s, and its own start.
const timeout = 1900 * time.Millisecond

// Run asks once.
func Run(ctx context.Context, _ func(string) string, args []string, stdout, stderr io.Writer) error {
	flags := agentargs.New(Name, stderr)
	path := flags.String("config-file", dataplanefile.DefaultPath, "the file that mesh-init left")
	if err := agentargs.ParseOnly(flags, args); err != nil {
		return err
	}
	file, err := dataplanefile.Read(*path)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for _, one := range file.Each() {
		if err := envoy.CheckReady(ctx, one.Envoy.Ready()); err != nil && len(file.FurtherProxies) > 0 {
			return fmt.Errorf("envoy of proxy %s is not ready: %w", one.Proxy.ID, err)
		} else if err != nil {
			return fmt.Errorf("envoy is not ready: %w", err)
		}
	}
	return nil
}
