package dataplane_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/resolvconf"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/required"
)

const (
	insideVariable = "DATAPLANE_TEST_INSIDE"  // marks the process that has a network and a resolv.conf of its own
	asNetwork      = "DATAPLANE_TEST_NETWORK" // makes this program another task

	portsVariable = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
	taskAddress   = "10.77.1.10"
	otherAddress  = "10.77.1.20"
)

// ofItsOwn runs the test once more in a process with a network and a resolv.conf of its own, and reports whether this is that one.
func ofItsOwn(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideVariable) != "" {
		return true
	}
	if os.Getuid() != 0 {
		required.Missing(t, "only root can make a network for a task")
	}
	t.Parallel()
	tool(t, "consul")
	tool(t, "envoy")
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+" ") {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

// furnish makes the process's own network and files those of a task whose mesh-init has run, and has another task beside it.
func furnish(t *testing.T) (envoy string, other func(address string) string) {
	t.Helper()
	dir := t.TempDir()
	envoy, resolver := filepath.Join(dir, "envoy"), filepath.Join(dir, "resolv.conf")
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(os.Chmod(filepath.Dir(dir), 0o755))
	t.Cleanup(func() { // or the folder could not be removed
		_ = unix.Unmount(envoy, unix.MNT_DETACH)
		_ = unix.Unmount(resolvconf.Path, unix.MNT_DETACH)
	})
	do(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	do(os.WriteFile(envoy, nil, 0o755))
	do(unix.Mount(tool(t, "envoy"), envoy, "", unix.MS_BIND, "")) // where every user can get at it
	do(os.WriteFile(resolver, []byte("nameserver 127.0.0.1\n"), 0o644))
	do(unix.Mount(resolver, resolvconf.Path, "", unix.MS_BIND, ""))
	privileged(t, "0")

	hold := exec.CommandContext(t.Context(), "/proc/self/exe")
	hold.Env = append(os.Environ(), asNetwork+"=1")
	hold.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	addresses, err := hold.StdinPipe()
	do(err)
	said, err := hold.StdoutPipe()
	do(err)
	do(hold.Start())
	t.Cleanup(func() { addresses.Close(); _ = hold.Wait() })
	answers := bufio.NewReader(said)
	pid := fmt.Sprint(hold.Process.Pid)
	for _, command := range []string{
		"ip link set lo up",
		"ip link add v0 type veth peer name v1 netns " + pid,
		"ip addr add " + taskAddress + "/24 dev v0",
		"ip link set v0 up",
		"nsenter -t " + pid + " -n ip addr add " + otherAddress + "/24 dev v1",
		"nsenter -t " + pid + " -n ip link set v1 up",
		"nsenter -t " + pid + " -n ip route add 127.64.0.0/10 via " + taskAddress, // its own loopback device is down
	} {
		words := strings.Fields(command)
		if out, err := exec.CommandContext(t.Context(), words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
	for _, device := range []string{"all", "v0"} {
		do(os.WriteFile("/proc/sys/net/ipv4/conf/"+device+"/route_localnet", []byte("1"), 0o644))
	}
	return envoy, func(address string) string {
		fmt.Fprintln(addresses, address)
		answer, _ := answers.ReadString('\n')
		return strings.TrimSpace(answer)
	}
}

const reached = "reached"

// beAnotherTask connects to the addresses that it reads, each of a line, and tells what came of it. It lets addresses be routed that
// belong on a loopback device.
func beAnotherTask() {
	if err := os.WriteFile("/proc/sys/net/ipv4/conf/all/route_localnet", []byte("1"), 0o644); err != nil {
		fmt.Println(err)
	}
	for addresses := bufio.NewScanner(os.Stdin); addresses.Scan(); {
		conn, err := net.DialTimeout("tcp", addresses.Text(), 5*time.Second)
		if err != nil {
			fmt.Println(err)
			continue
		}
		conn.Close()
		fmt.Println(reached)
	}
}

// named is an instance of a service with the name, which runs where it has an application.
func named(t *testing.T, c *testenv.Consul, envoy, name string, app netip.AddrPort) *task {
	t.Helper()
	k := newTask(t, c)
	k.service, k.token = name, newToken(t, c, name)
	k.file.Proxy.ID = mesh.ProxyID(mesh.ServiceID(name, k.instance))
	k.file.Envoy.ExecutablePath = envoy
	k.program, k.uid = []string{"/proc/self/exe"}, mesh.UIDDataplane
	if app.IsValid() {
		k.register(t, c, app)
		k.run(t)
	}
	return k
}

// callerByName is a task that calls by name at the ports.
func callerByName(t *testing.T, c *testenv.Consul, envoy, name string, resolver netip.AddrPort, ports ...int) *task {
	t.Helper()
	k := named(t, c, envoy, name, netip.AddrPort{})
	k.callsByName(resolver, ports...)
	return k
}

// callsByName has the task call by name, without upstreams.
func (k *task) callsByName(resolver netip.AddrPort, ports ...int) {
	k.mode = api.ProxyModeTransparent
	k.file.Names = &dataplanefile.Names{Ports: ports}
	k.file.DNSServer = &dataplanefile.DNSServer{BindAddress: resolver.Addr().String(), BindPort: new(int(resolver.Port()))}
}

// resolve is the address that the task's own DNS has for a name, or "none".
func (k *task) resolve(name string, kind uint16) string {
	at := net.JoinHostPort(k.file.DNSServer.BindAddress, strconv.Itoa(*k.file.DNSServer.BindPort))
	answer, err := dns.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(name), kind), at)
	if err != nil {
		return err.Error()
	}
	for _, record := range answer.Answer {
		switch record := record.(type) {
		case *dns.A:
			return record.A.String()
		case *dns.AAAA:
			return record.AAAA.String()
		}
	}
	return "none"
}

// calls asks by name as the task's application would: its DNS first, then the address, at the first of the ports.
func (k *task) calls(name, path string) string {
	address := k.resolve(name, dns.TypeA)
	if _, err := netip.ParseAddr(address); err != nil {
		return name + " resolves to " + address
	}
	return call(net.JoinHostPort(address, strconv.Itoa(k.file.Names.Ports[0])) + path)
}

// allow lets a service call others.
func allow(t *testing.T, c *testenv.Consul, from string, names ...string) {
	t.Helper()
	allowAll(t, c, []string{from}, names...)
}

// allowAll lets services call others.
func allowAll(t *testing.T, c *testenv.Consul, from []string, names ...string) {
	t.Helper()
	var sources []*api.SourceIntention
	for _, name := range from {
		sources = append(sources, &api.SourceIntention{Name: name, Action: api.IntentionActionAllow})
	}
	for _, name := range names {
		configure(t, c, &api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: name, Sources: sources})
	}
}

// deny lets nobody call the services any more.
func deny(t *testing.T, c *testenv.Consul, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := c.API.ConfigEntries().Delete(api.ServiceIntentions, name, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func configure(t *testing.T, c *testenv.Consul, entries ...api.ConfigEntry) {
	t.Helper()
	for _, entry := range entries {
		if _, _, err := c.API.ConfigEntries().Set(entry, nil); err != nil {
			t.Fatalf("%s %s: %v", entry.GetKind(), entry.GetName(), err)
		}
	}
}

// call asks by name, as an application does: with its resolver, on a fresh connection.
func call(url string) string {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + url)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, " ", string(body))
}

// resolve is the address of a name, or "none".
func resolve(name string) string {
	addresses, err := net.DefaultResolver.LookupHost(context.Background(), name)
	var failure *net.DNSError
	if errors.As(err, &failure) && failure.IsNotFound {
		return "none"
	}
	if err != nil {
		return err.Error()
	}
	return strings.Join(addresses, " ")
}

// website is an application that tells its name and what it was asked for.
func website(t *testing.T, name string) netip.AddrPort {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, name, " ", r.URL.Path) }))
	t.Cleanup(server.Close)
	return netip.MustParseAddrPort(server.Listener.Addr().String())
}

// echo is an application that speaks first, as databases do, and then repeats what it hears.
func echo(t *testing.T, name string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprintln(conn, name)
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// speak connects by name and returns the first line of what speaks there.
func speak(address string) string {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	buffer := make([]byte, 100)
	n, err := conn.Read(buffer)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(buffer[:n]))
}

// privileged sets the first port at which every user may listen.
func privileged(t *testing.T, first string) {
	t.Helper()
	if err := os.WriteFile(portsVariable, []byte(first), 0o644); err != nil {
		t.Fatal(err)
	}
}
