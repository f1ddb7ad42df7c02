package meshinit

import (
	"context"
	"fmt"
	"io"
	"net/netip"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/redirect"
	"github.com/consulecs/terraform-provider-consulecs/internal/resolvconf"
)

// redirectTraffic sends the task's traffic through the registered proxy, and its DNS queries to Consul if asked for.
func redirectTraffic(ctx context.Context, cfg agentconfig.Config, conn *consul.Connection, r consul.Registration, log hclog.Logger) error {
	var central redirect.Central
	err := consul.Retry(ctx, log, "read the proxy's central configuration", func(ctx context.Context) (err error) {
		central.OutboundPort, central.Config, err = conn.CentralProxy(ctx, r)
		return err
	})
	if err != nil {
		return err
	}
	spec, err := redirect.SpecOf(cfg, central)
	if err != nil {
		return fmt.Errorf("redirect traffic: %w", err)
	}
	if err := redirect.Apply(ctx, spec.Tables(), log); err != nil {
		return err
	}
	log.Info("traffic redirected", "inbound_port", spec.InboundPort, "outbound_port", spec.OutboundPort, "dns", spec.DNS.IsValid())
	if !spec.DNS.IsValid() {
		return nil
	}
	return resolvconf.Add(resolvconf.Path, loopback)
}

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// printRules prints the rules that the configuration alone asks for.
func printRules(cfg agentconfig.Config, stdout io.Writer) error {
	if !cfg.RedirectsTraffic() {
		_, err := fmt.Fprintln(stdout, "# transparentProxy.enabled is not true: no traffic is redirected")
		return err
	}
	spec, err := redirect.SpecOf(cfg, redirect.Central{})
	if err != nil {
		return fmt.Errorf("redirect traffic: %w", err)
	}
	for _, table := range spec.Tables() {
		if _, err := io.WriteString(stdout, table.String()); err != nil {
			return err
		}
	}
	return nil
}
