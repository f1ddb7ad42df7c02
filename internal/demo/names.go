package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
)

// namesRange is where names lead to in a task that calls by name.
var namesRange = netip.MustParsePrefix("127.64.0.0/10")

// byName shows that kiosk calls stock by name though nothing of its task is redirected, and that the listeners for that are its own.
func (d *demo) byName(ctx context.Context) error {
	made, err := d.allowCall(ctx, kioskService, d.kioskURL)
	if err != nil {
		return err
	}
	d.fact("in kiosk's task %s resolves to %v", made.URL, made.Resolved)
	if !slices.ContainsFunc(made.Resolved, onLoopback) {
		return fmt.Errorf("the name resolves to %v, want an address of %s", made.Resolved, namesRange)
	}
	return d.closedToOthers(ctx)
}

func onLoopback(address string) bool {
	addr, err := netip.ParseAddr(address)
	return err == nil && namesRange.Contains(addr)
}

// closedToOthers shows that kiosk's application answers at its own port, to which nobody leads anything, and its names to nobody else.
func (d *demo) closedToOthers(ctx context.Context) error {
	task, err := d.aws.onlyTask(ctx, kioskService)
	if err != nil {
		return err
	}
	given, err := d.aws.capabilities(ctx, task)
	if err != nil {
		return err
	}
	if len(given) > 0 {
		return fmt.Errorf("containers of kiosk's task get the capabilities %v", given)
	}
	d.fact("kiosk runs as a task of %s, and no container of it gets a capability", task.LaunchType)
	at := net.JoinHostPort(fleet.IPAddress(task), fmt.Sprint(mesh.PortNames))
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", at)
	if err == nil {
		conn.Close()
		return fmt.Errorf("%s, where kiosk's names are served inside its task, answers from outside", at)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%s was neither answered nor refused: %w", at, err)
	}
	d.fact("%s from this machine: connection refused; its names are served on loopback alone", at)
	return nil
}
