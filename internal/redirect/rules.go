// Package redirect makes a task's TCP traffic go through its Envoy, and its DNS queries for 127.0.0.1 to Consul: Consul's
// transparent proxy. What has to be in the kernel is decided as values, rules with their reasons; Apply loads them.
//
// The chains have the names and the order of the incumbent's (consul-ecs 0.10).
package redirect

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// The chains of ours.
const (
	chainInbound         = "CONSUL_PROXY_INBOUND"
	chainInboundRedirect = "CONSUL_PROXY_IN_REDIRECT"
	chainOutbound        = "CONSUL_PROXY_OUTPUT"
	chainRedirect        = "CONSUL_PROXY_REDIRECT"
	chainDNS             = "CONSUL_DNS_REDIRECT"
)

// The kernel's chains that lead to ours.
const (
	chainOutput     = "OUTPUT"
	chainPrerouting = "PREROUTING"
)

func ourChains() []string {
	return []string{chainInbound, chainInboundRedirect, chainOutbound, chainRedirect, chainDNS}
}

// Spec is what is to be redirected, and what is not.
type Spec struct {
	InboundPort  int            // Envoy's public listener
	OutboundPort int            // Envoy's listener for redirected traffic
	DNS          netip.AddrPort // the DNS proxy, which must be IPv4; zero: no DNS redirection

	ExcludeInboundPorts  []int
	ExcludeOutboundPorts []int
	ExcludeOutboundCIDRs []netip.Prefix // of both families
	ExcludeUIDs          []string       // of users whose traffic stays as it is
}

// Rule is one rule of the nat table. Why, which no other rule shares, becomes its comment in the kernel.
type Rule struct {
	Chain, Match, Jump, Why string
}

// String is the rule as iptables-restore reads it and iptables -S prints it.
func (r Rule) String() string {
	return fmt.Sprintf("-A %s %s -m comment --comment \"%s\" -j %s", r.Chain, r.Match, r.Why, r.Jump)
}

// Table is the rules of one address family, in order.
type Table struct {
	IPv6  bool
	Rules []Rule
}

// Tables are the rules that s asks for, IPv4's and IPv6's.
func (s Spec) Tables() []Table {
	return []Table{{Rules: s.rules(false)}, {IPv6: true, Rules: s.rules(true)}}
}

func (s Spec) rules(ipv6 bool) []Rule {
	rules := []Rule{{chainRedirect, "-p tcp", fmt.Sprintf("REDIRECT --to-ports %d", s.OutboundPort), "traffic of the application leaves through Envoy"}}
	if s.DNS.IsValid() && !ipv6 { // resolv.conf names 127.0.0.1, which a task without IPv4 has too
		rules = append(rules, s.dns()...)
	}
	rules = append(rules, Rule{chainOutput, "-p tcp", chainOutbound, "what the task sends is looked at for the mesh"})
	rules = append(rules, s.outbound(ipv6)...)
	rules = append(rules,
		Rule{chainInboundRedirect, "-p tcp", fmt.Sprintf("REDIRECT --to-ports %d", s.InboundPort), "traffic for the application enters through Envoy"},
		Rule{chainPrerouting, "-p tcp", chainInbound, "what the task receives is looked at for the mesh"},
	)
	for _, port := range s.ExcludeInboundPorts {
		rules = append(rules, Rule{chainInbound, tcpPort(port), "RETURN", fmt.Sprintf("port %d is open past the mesh", port)})
	}
	return append(rules, Rule{chainInbound, "-p tcp", chainInboundRedirect, "everything else from outside belongs to the mesh"})
}

// dns sends the queries for 127.0.0.1 to the DNS proxy, which has no right to port 53.
func (s Spec) dns() []Rule {
	var rules []Rule
	for _, chain := range []string{chainDNS, chainOutput} {
		for _, protocol := range []string{"udp", "tcp"} {
			match := fmt.Sprintf("-d 127.0.0.1/32 -p %s -m %[1]s --dport 53", protocol)
			rule := Rule{chain, match, chainDNS, "DNS over " + protocol + " is looked at for Consul"}
			if chain == chainDNS {
				rule.Jump, rule.Why = "DNAT --to-destination "+s.DNS.String(), "DNS over "+protocol+" goes to Consul"
			}
			rules = append(rules, rule)
		}
	}
	return rules
}

// outbound decides on what the task sends.
func (s Spec) outbound(ipv6 bool) []Rule {
	past := func(match, format string, args ...any) Rule {
		return Rule{chainOutbound, match, "RETURN", fmt.Sprintf(format, args...)}
	}
	rules := []Rule{
		past(owner("uid", mesh.UIDHealthSync), "health-sync and mesh-ready speak to Consul and to the proxy themselves"),
		past(owner("gid", mesh.UIDMeshInit), "mesh-init must reach Consul when it runs again"),
	}
	for _, uid := range s.ExcludeUIDs {
		rules = append(rules, past(owner("uid", uid), "user %s is excluded from the mesh", uid))
	}
	for _, cidr := range s.ExcludeOutboundCIDRs {
		if cidr.Addr().Is6() == ipv6 {
			rules = append(rules, past("-d "+cidr.String(), "%s is excluded from the mesh", cidr))
		}
	}
	for _, port := range s.ExcludeOutboundPorts {
		rules = append(rules, past(tcpPort(port), "port %d elsewhere is excluded from the mesh", port))
	}
	loopback := "127.0.0.1/32"
	if ipv6 {
		loopback = "::1/128"
	}
	return append(rules,
		past(owner("uid", mesh.UIDDataplane), "traffic of Envoy must not loop back into Envoy"),
		past("-d "+loopback, "containers of the task reach each other directly"),
		Rule{chainOutbound, "-p tcp", chainRedirect, "everything else belongs to the mesh"},
	)
}

func owner(kind string, id any) string { return fmt.Sprintf("-m owner --%s-owner %v", kind, id) }

func tcpPort(port int) string { return fmt.Sprintf("-p tcp -m tcp --dport %d", port) }

// Script is what iptables-restore --noflush, or ip6tables-restore, loads in one step: the chains of ours as they have to be,
// whatever they hold. replaced are the rules in the kernel's own chains that have to go meanwhile, as iptables -S prints them.
func (t Table) Script(replaced ...string) string {
	var b strings.Builder
	b.WriteString("*nat\n:POSTROUTING ACCEPT [0:0]\n")
	for _, chain := range ourChains() {
		fmt.Fprintf(&b, ":%s - [0:0]\n", chain) // makes the chain, or empties it
	}
	for _, rule := range replaced {
		b.WriteString(strings.Replace(rule, "-A", "-D", 1) + "\n")
	}
	for _, rule := range t.Rules {
		b.WriteString(rule.String() + "\n")
	}
	b.WriteString("COMMIT\n")
	return b.String()
}

// String is the table for people: the dry run.
func (t Table) String() string {
	program := restoreProgram(t.IPv6)
	return fmt.Sprintf("# %s --noflush\n%s", program, t.Script())
}

// entrances are the rules among listed, the lines of iptables -S, that lead from a chain of the kernel's into ours.
func entrances(listed []string) []string {
	return slices.DeleteFunc(slices.Clone(listed), func(line string) bool {
		_, jump, _ := strings.Cut(line, " -j ")
		return !slices.Contains(ourChains(), strings.TrimSpace(jump))
	})
}

// missing names the first rule of a chain that listed, the lines of iptables -S, does not hold at its place. The text is
// not compared, since the kernel may spell a match in its own way, but the rule's comment and where it leads.
func (t Table) missing(chain string, listed []string) error {
	listed = slices.DeleteFunc(slices.Clone(listed), func(line string) bool { return !strings.HasPrefix(line, "-A ") })
	if chain == chainOutput || chain == chainPrerouting {
		listed = entrances(listed)
	}
	var want []Rule
	for _, rule := range t.Rules {
		if rule.Chain == chain {
			want = append(want, rule)
		}
	}
	for i, rule := range want {
		if i >= len(listed) {
			return fmt.Errorf("rule %d of %s is missing: %s", i+1, chain, rule)
		}
		target, _, _ := strings.Cut(rule.Jump, " ")
		if !strings.Contains(listed[i], `"`+rule.Why+`"`) || !strings.Contains(listed[i]+" ", " -j "+target+" ") {
			return fmt.Errorf("rule %d of %s is %q, want %q", i+1, chain, listed[i], rule)
		}
	}
	if len(listed) > len(want) {
		return fmt.Errorf("%s has a rule too many: %q", chain, listed[len(want)])
	}
	return nil
}
