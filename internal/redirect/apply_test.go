package redirect_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/redirect"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/contained"
)

// insideVariable marks the process that runs a test in a container, and thus in a network namespace, of its own.
const insideVariable = "REDIRECT_TEST_INSIDE"

// quickExit makes a program with the race detector in it end at once instead of after a second.
const quickExit = "GORACE=atexit_sleep_ms=0"

// inNamespace runs body in a network namespace of its own, which ends with it.
func inNamespace(t *testing.T, body func(t *testing.T)) {
	t.Helper()
	if os.Getenv(insideVariable) != "" {
		body(t)
		return
	}
	t.Parallel()
	out, err := contained.Run(t, contained.Command{
		Args: []string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.timeout=5m"},
		Env:  []string{insideVariable + "=1", quickExit},
	})
	if err != nil || !strings.Contains(out, "--- PASS: "+t.Name()) {
		t.Fatalf("%v\n%s", err, out)
	}
}

// addresses gives loopback the addresses of a task, and some that stand for others.
func addresses(t *testing.T) {
	t.Helper()
	for _, address := range []string{"192.0.2.1/32", "169.254.170.2/32", "2001:db9::1/128"} {
		if err := addAddress(netip.MustParsePrefix(address)); err != nil {
			t.Fatalf("add address %s: %v", address, err)
		}
	}
}

// addAddress asks the kernel for an address on loopback, as ip address add does.
func addAddress(address netip.Prefix) error {
	const loopback, acknowledgement = 1, unix.NLMSG_HDRLEN + 4
	family := byte(unix.AF_INET)
	if address.Addr().Is6() {
		family = unix.AF_INET6
	}
	value := address.Addr().AsSlice()
	size := unix.NLMSG_HDRLEN + unix.SizeofIfAddrmsg + unix.SizeofRtAttr + len(value)
	order := binary.NativeEndian
	message := order.AppendUint32(nil, uint32(size))
	message = order.AppendUint16(message, unix.RTM_NEWADDR)
	message = order.AppendUint16(message, unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE)
	message = append(message, make([]byte, 8)...) // sequence and sender
	message = append(message, family, byte(address.Bits()), 0, unix.RT_SCOPE_UNIVERSE)
	message = order.AppendUint32(message, loopback)
	message = order.AppendUint16(message, uint16(unix.SizeofRtAttr+len(value)))
	message = append(order.AppendUint16(message, unix.IFA_LOCAL), value...)

	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	if err := unix.Sendto(socket, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(socket, answer, 0)
	if err != nil {
		return err
	}
	if n < acknowledgement || order.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return fmt.Errorf("the kernel answers %x", answer[:n])
	}
	if code := int32(order.Uint32(answer[unix.NLMSG_HDRLEN:])); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}

func saved(t *testing.T, program string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, "-t", "nat").Output()
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ":") { // times and counters
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func apply(t *testing.T, s redirect.Spec) {
	t.Helper()
	if err := redirect.Apply(t.Context(), s.Tables(), hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: t.Output()})); err != nil {
		t.Fatal(err)
	}
}

func TestEveryGoldenLoads(t *testing.T) { inNamespace(t, everyGoldenLoads) }

// everyGoldenLoads also wants that applying again changes nothing.
func everyGoldenLoads(t *testing.T) {
	addresses(t)
	for name, spec := range specs() {
		apply(t, spec)
		before := []string{saved(t, "iptables-save"), saved(t, "ip6tables-save")}
		for i, family := range spec.Tables() {
			for _, rule := range family.Rules {
				if !strings.Contains(before[i], rule.String()+"\n") {
					t.Errorf("%s: not in the kernel as written: %s", name, rule)
				}
			}
			if got := strings.Count(before[i], "\n-A "); got != len(family.Rules) {
				t.Errorf("%s: the kernel has %d rules, want %d:\n%s", name, got, len(family.Rules), before[i])
			}
		}
		apply(t, spec)
		if diff := cmp.Diff(before, []string{saved(t, "iptables-save"), saved(t, "ip6tables-save")}); diff != "" {
			t.Errorf("%s, applied again: %s", name, diff)
		}
	}
}

func TestApplyingMendsWhatIsThere(t *testing.T) { inNamespace(t, applyingMendsWhatIsThere) }

func applyingMendsWhatIsThere(t *testing.T) {
	addresses(t)
	foreign := []string{"-A OUTPUT -d 127.0.0.11/32 -j RETURN", "-A PREROUTING -p udp -j RETURN"}
	for _, rule := range foreign {
		run(t, "iptables", append([]string{"-t", "nat"}, strings.Fields(rule)...)...)
	}
	least := redirect.Spec{InboundPort: 20000, OutboundPort: 15001}
	if err := redirect.Verify(least.Tables()); err == nil {
		t.Error("rules that nobody has loaded are in place")
	}
	apply(t, least)
	want := saved(t, "iptables-save")
	if err := redirect.Verify(least.Tables()); err != nil {
		t.Error(err)
	}

	apply(t, everything()) // another configuration, then rules of ours in wrong places and twice
	run(t, "iptables", "-t", "nat", "-A", "CONSUL_PROXY_INBOUND", "-j", "RETURN")
	run(t, "iptables", "-t", "nat", "-I", "OUTPUT", "-p", "tcp", "-j", "CONSUL_PROXY_OUTPUT")
	run(t, "iptables", "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "-m", "comment", "--comment", "an 'odd' comment", "-j", "CONSUL_PROXY_INBOUND")
	if err := redirect.Verify(least.Tables()); err == nil || !strings.Contains(err.Error(), "verify IPv4 rules: ") {
		t.Errorf("rules in wrong places: %v", err)
	}
	apply(t, least)
	got := saved(t, "iptables-save")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, rule := range foreign {
		if !strings.Contains(got, rule+"\n") {
			t.Errorf("a rule of others is gone: %s", rule)
		}
	}
}

func TestIPv6IsLeftOutWhereTheTaskHasNone(t *testing.T) {
	inNamespace(t, ipv6IsLeftOutWhereTheTaskHasNone)
}

func ipv6IsLeftOutWhereTheTaskHasNone(t *testing.T) {
	var log bytes.Buffer
	if err := redirect.Apply(t.Context(), everything().Tables(), hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: &log})); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "ipv6 traffic not redirected") {
		t.Errorf("log: %s", &log)
	}
	if got := saved(t, "ip6tables-save"); strings.Contains(got, "CONSUL") {
		t.Errorf("IPv6 has rules:\n%s", got)
	}
}

func TestARefusedScriptLeavesTheKernelAsItWas(t *testing.T) {
	inNamespace(t, aRefusedScriptLeavesTheKernelAsItWas)
}

func aRefusedScriptLeavesTheKernelAsItWas(t *testing.T) {
	apply(t, everything())
	before := saved(t, "iptables-save")
	bad := everything()
	bad.ExcludeUIDs = []string{"no such user"}
	err := redirect.Apply(t.Context(), bad.Tables(), hclog.NewNullLogger())
	if err == nil || !strings.Contains(err.Error(), "redirect IPv4 traffic: iptables-restore: exit code") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, saved(t, "iptables-save")); diff != "" {
		t.Error(diff)
	}
}

// What connections really do is what counts: each is made by a user of its own and lands at one of the listeners.
func TestConnectionsGoWhereTheyShould(t *testing.T) { inNamespace(t, connectionsGoWhereTheyShould) }

func connectionsGoWhereTheyShould(t *testing.T) {
	addresses(t)
	apply(t, everything())
	for _, address := range []string{
		"127.0.0.1:15001", "[::1]:15001", "127.0.0.1:8600", "127.0.0.1:7000", "[::1]:7000",
		"192.0.2.1:7000", "192.0.2.1:443", "169.254.170.2:7000", "[2001:db9::1]:7000",
	} {
		greet(t, address)
	}
	for name, c := range map[string]struct {
		uid, gid    uint32
		dial, lands string
	}{
		"the application":                       {1, 1, "192.0.2.1:7000", "127.0.0.1:15001"},
		"the application as root":               {0, 0, "192.0.2.1:7000", "127.0.0.1:15001"},
		"the application over IPv6":             {1, 1, "[2001:db9::1]:7000", "[::1]:15001"},
		"the application to itself":             {1, 1, "127.0.0.1:7000", "127.0.0.1:7000"},
		"the application to itself over IPv6":   {1, 1, "[::1]:7000", "[::1]:7000"},
		"DNS":                                   {1, 1, "127.0.0.1:53", "127.0.0.1:8600"},
		"the task's credentials":                {1, 1, "169.254.170.2:7000", "169.254.170.2:7000"},
		"an excluded port":                      {1, 1, "192.0.2.1:443", "192.0.2.1:443"},
		"an excluded user":                      {1000, 1, "192.0.2.1:7000", "192.0.2.1:7000"},
		"Envoy":                                 {mesh.UIDDataplane, 1, "192.0.2.1:7000", "192.0.2.1:7000"},
		"Envoy over IPv6":                       {mesh.UIDDataplane, 1, "[2001:db9::1]:7000", "[2001:db9::1]:7000"},
		"health-sync":                           {mesh.UIDHealthSync, 1, "192.0.2.1:7000", "192.0.2.1:7000"},
		"mesh-init, when it runs a second time": {0, mesh.UIDMeshInit, "192.0.2.1:7000", "192.0.2.1:7000"},
	} {
		if got := landing(t, c.uid, c.gid, c.dial); got != c.lands {
			t.Errorf("%s: %s lands at %s, want %s", name, c.dial, got, c.lands)
		}
	}
}

// greet tells everyone who connects at which address that was.
func greet(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				fmt.Fprintln(conn, address)
				conn.Close()
			}
		}
	}()
}

// dialVariable makes the test's own program a client: it prints what the address greets with.
const dialVariable = "REDIRECT_TEST_DIAL"

func TestMain(m *testing.M) {
	address := os.Getenv(dialVariable)
	if address == "" {
		os.Exit(m.Run())
	}
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err == nil {
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		_, err = os.Stdout.ReadFrom(conn)
	}
	if err != nil {
		fmt.Println(err)
	}
}

func landing(t *testing.T, uid, gid uint32, address string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = []string{dialVariable + "=" + address, quickExit}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return err.Error() + string(out)
	}
	return strings.TrimSpace(string(out))
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
}
