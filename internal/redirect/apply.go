package redirect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/process"
)

const (
	natTable    = "nat"
	lockSeconds = 5 // to wait for another program that changes rules
	killAfter   = 100 * time.Millisecond
)

// Apply brings the rules of this network namespace to what the tables say, each table in one step, and reads them back.
// It may be repeated, and mends what an earlier call left. Rules of others stay.
//
// IPv6's are left out where the namespace has no IPv6 address but loopback's.
func Apply(ctx context.Context, tables []Table, log hclog.Logger) error {
	for _, t := range tables {
		if !t.IPv6 {
			if err := t.apply(ctx); err != nil {
				return fmt.Errorf("redirect IPv4 traffic: %w\nhint: the container needs user 0 and the capability NET_ADMIN, which FARGATE does not grant", err)
			}
			continue
		}
		needs, reach, err := ipv6()
		if err != nil {
			return fmt.Errorf("redirect IPv6 traffic: %w", err)
		}
		if !needs {
			log.Debug("ipv6 traffic not redirected: the task has no ipv6 address")
			continue
		}
		switch err := t.apply(ctx); {
		case err != nil && reach:
			return fmt.Errorf("redirect IPv6 traffic: %w\nhint: the host's kernel may lack the module ip6table_nat", err)
		case err != nil: // a kernel gives every interface a link-local address: without another one, nobody reaches the task by it
			log.Debug("ipv6 traffic not redirected: the task has only a link-local address", "err", err)
		}
	}
	return nil
}

// ipv6 reports whether this namespace has an IPv6 address besides loopback's, and one that reaches further than the link.
func ipv6() (has, beyondLink bool, err error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return false, false, err
	}
	for _, a := range addresses {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || !prefix.Addr().Is6() || prefix.Addr().IsLoopback() {
			continue
		}
		has = true
		beyondLink = beyondLink || !prefix.Addr().IsLinkLocalUnicast()
	}
	return has, beyondLink, nil
}

func (t Table) apply(ctx context.Context) error {
	kernel, err := t.kernel()
	if err != nil {
		return err
	}
	var replaced []string
	for _, chain := range []string{chainOutput, chainPrerouting} {
		listed, err := kernel.List(natTable, chain)
		if err != nil {
			return fmt.Errorf("list %s: %w", chain, err)
		}
		replaced = append(replaced, entrances(listed)...)
	}
	if err := restore(ctx, restoreProgram(t.IPv6), t.Script(replaced...)); err != nil {
		return err
	}
	if err := t.verify(kernel); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	return nil
}

func restoreProgram(ipv6 bool) string {
	if ipv6 {
		return "ip6tables-restore"
	}
	return "iptables-restore"
}

// restore loads a script: all of it, or nothing.
func restore(ctx context.Context, program, script string) error {
	var stdout bytes.Buffer // where some versions complain
	child, err := process.Start(process.Command{
		Path: program, Args: []string{"--noflush", fmt.Sprintf("--wait=%d", lockSeconds)},
		Stdin: strings.NewReader(script), Stdout: &stdout,
	})
	if err != nil {
		return err
	}
	select {
	case <-child.Done():
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), child.Stop(context.WithoutCancel(ctx), killAfter))
	}
	if err := child.Err(); err != nil {
		return fmt.Errorf("%w%s", err, stdout.String())
	}
	return nil
}
