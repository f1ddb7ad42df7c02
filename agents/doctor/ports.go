package doctor

import (
	"bufio"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

// socket is a TCP socket that listens in this network namespace, which all containers of a task share.
type socket struct {
	at  netip.AddrPort
	uid int // of the user whose it is
}

// listening lists the sockets. The kernel shows them to everybody in the namespace.
func listening() ([]socket, error) {
	var all []socket
	for _, name := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		file, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
			continue
		} else if err != nil {
			return nil, err
		}
		found, err := parseSockets(file)
		if err := errors.Join(err, file.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// stateListen is TCP_LISTEN in the kernel's tables.
const stateListen = "0A"

// parseSockets reads a table of the kernel's: after a heading, the local address is in the second column, the state in the
// fourth, the user in the eighth.
func parseSockets(table io.Reader) ([]socket, error) {
	var all []socket
	lines := bufio.NewScanner(table)
	lines.Scan()
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 8 || fields[3] != stateListen {
			continue
		}
		at, err := parseSocketAddress(fields[1])
		if err != nil {
			return nil, err
		}
		uid, err := strconv.Atoi(fields[7])
		if err != nil {
			return nil, err
		}
		all = append(all, socket{at, uid})
	}
	return all, lines.Err()
}

// parseSocketAddress reads 0100007F:4E20: words of four bytes, the least significant first, as on all machines that Envoy is
// built for.
func parseSocketAddress(text string) (netip.AddrPort, error) {
	address, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(address)
	if err != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, fmt.Errorf("%q is no address of a socket", text)
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word)
	}
	addr, known := netip.AddrFromSlice(raw)
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil || !known {
		return netip.AddrPort{}, fmt.Errorf("%q is no address of a socket", text)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), nil
}

// inTheWay reports whether nobody else can listen at the address as long as s does.
func (s socket) inTheWay(of netip.AddrPort) bool {
	return s.at.Port() == of.Port() && (s.at.Addr() == of.Addr() || s.at.Addr().IsUnspecified() || of.Addr().IsUnspecified())
}

// place is where the dataplane listens, and the setting that moves it; "" where none does.
type place struct {
	at      netip.AddrPort
	setting string
}

// life is how far a container has come.
type life int

const (
	lifeUnknown life = iota // no metadata
	lifeAhead               // it has not started, or is not in the task
	lifeRuns
	lifeOver // its last run has ended
)

// ended reports whether a container's last run is over. ECS goes on to desire that a container runs which has ended by
// itself, such as mesh-init.
func ended(c taskmeta.Container) bool { return c.KnownStatus == taskmeta.StatusStopped }

func (f *facts) life(name string) life {
	if f.task == nil {
		return lifeUnknown
	}
	c, _ := f.task.Container(name)
	return lifeOf(c)
}

// lifeOf is the same of a container that is being stopped and of one that is to go on.
func lifeOf(c taskmeta.Container) life {
	switch {
	case c.KnownStatus == taskmeta.StatusRunning:
		return lifeRuns
	case ended(c):
		return lifeOver
	}
	return lifeAhead
}

func (f *facts) lookPlaces(places ...place) Finding {
	sockets, err := listening()
	if err != nil {
		return failed(err, "")
	}
	return placesFinding(places, sockets, f.life(mesh.ContainerDataplane))
}

// placesFinding decides whether the dataplane has its ports, or will get them.
func placesFinding(places []place, sockets []socket, dataplane life) Finding {
	var held, free, taken []string
	fix := ""
	for _, p := range places {
		at := slices.IndexFunc(sockets, func(s socket) bool { return s.inTheWay(p.at) })
		switch {
		case at < 0:
			free = append(free, p.at.String())
		case sockets[at].uid == mesh.UIDDataplane:
			held = append(held, p.at.String())
		default:
			taken = append(taken, fmt.Sprintf("%s is taken by user %d, at %s", p.at, sockets[at].uid, sockets[at].at))
			fix = cmp.Or(fix, "let the application listen elsewhere"+alternative(p.setting))
		}
	}
	var all []string
	for _, part := range []struct {
		of   []string
		what string
	}{{taken, "%s"}, {held, "%s: the dataplane's"}, {free, "%s: free"}} {
		if len(part.of) > 0 {
			all = append(all, fmt.Sprintf(part.what, strings.Join(part.of, ", ")))
		}
	}
	found := strings.Join(all, "; ")
	switch {
	case len(taken) > 0:
		return fail(found, fix)
	case len(free) > 0 && dataplane == lifeRuns:
		return warn(found+", though the dataplane runs", "the log of the container "+mesh.ContainerDataplane+" tells what it waits for")
	}
	return ok("%s", found)
}

func alternative(setting string) string {
	if setting == "" {
		return ""
	}
	return ", or set " + setting
}

func loopbackPort(port int) netip.AddrPort {
	return netip.AddrPortFrom(loopbackAddress, uint16(port))
}

func anyPort(port int) netip.AddrPort {
	return netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(port))
}

func (f *facts) lookPublicPort(context.Context) Finding {
	var places []place
	for i, pair := range f.cfg.Pairs("") {
		port := pair.Proxy.PublicListenerPort
		if bound, err := strconv.ParseUint(fmt.Sprint(pair.Proxy.Config["bind_port"]), 10, 16); err == nil { // Envoy listens there instead
			port = int(bound)
		}
		places = append(places, place{anyPort(port), proxyKey(i, "publicListenerPort")})
	}
	return f.lookPlaces(places...)
}

// proxyKey is a key of the n-th proxy in the configuration, counted from 0.
func proxyKey(n int, key string) string {
	if n == 0 {
		return "proxy." + key
	}
	return fmt.Sprintf("services[%d].proxy.%s", n-1, key)
}

func (f *facts) lookReadyPort(context.Context) Finding {
	var places []place
	for i, e := range f.envoys() {
		places = append(places, place{e.Ready(), proxyKey(i, "healthCheckPort")})
	}
	return f.lookPlaces(places...)
}

func (f *facts) lookAdminPort(context.Context) Finding {
	var places []place
	for _, e := range f.envoys() {
		places = append(places, place{e.Admin(), ""})
	}
	return f.lookPlaces(places...)
}

// envoys are where the task's Envoys listen by the file that mesh-init left; before, and where the shared volume is not mounted, by
// the configuration. Most tasks have one.
func (f *facts) envoys() []dataplanefile.Envoy {
	var all []dataplanefile.Envoy
	if file, err := dataplanefile.Read(filepath.Join(f.cfg.BootstrapDir, dataplanefile.Name)); err == nil {
		for _, one := range file.Each() {
			all = append(all, one.Envoy)
		}
		return all
	}
	for _, pair := range f.cfg.Pairs("") {
		all = append(all, dataplanefile.Envoy{
			AdminBindAddress: "127.0.0.1", AdminBindPort: pair.AdminPort,
			ReadyBindAddress: "127.0.0.1", ReadyBindPort: pair.Proxy.HealthCheckPort,
		})
	}
	return all
}

func (f *facts) lookOutboundPort(context.Context) Finding {
	if !f.cfg.RedirectsTraffic() {
		return notTransparent()
	}
	return f.lookPlaces(place{loopbackPort(mesh.PortOutboundListener), "TransparentProxy.OutboundListenerPort in Consul's proxy-defaults"})
}

func (f *facts) lookDNSPort(context.Context) Finding {
	switch {
	case f.cfg.CallsByName():
		return f.lookPlaces(place{loopbackPort(mesh.PortResolver), ""})
	case !f.cfg.ResolvesNames():
		return notAsked(noNames)
	}
	return f.lookPlaces(place{loopbackPort(mesh.PortDNS), ""})
}

func (f *facts) lookUpstreamPorts(context.Context) Finding {
	var places []place
	for i, pair := range f.cfg.Pairs("") {
		places = append(places, upstreamPlaces(pair.Proxy.Upstreams, i)...)
	}
	if len(places) == 0 {
		return notAsked("there is no upstream in the configuration")
	}
	return f.lookPlaces(places...)
}

// upstreamPlaces are those of the n-th proxy, counted from 0.
func upstreamPlaces(upstreams []agentconfig.Upstream, n int) []place {
	var places []place
	for i, u := range upstreams {
		at := loopbackPort(u.LocalBindPort)
		if addr, err := netip.ParseAddr(u.LocalBindAddress); err == nil {
			at = netip.AddrPortFrom(addr.Unmap(), at.Port())
		}
		places = append(places, place{at, proxyKey(n, fmt.Sprintf("upstreams[%d].localBindPort", i))})
	}
	return places
}

func (f *facts) lookExposedPorts(context.Context) Finding {
	var places []place
	for n, pair := range f.cfg.Pairs("") {
		if pair.Proxy.Expose == nil {
			continue
		}
		for i, path := range pair.Proxy.Expose.Paths {
			places = append(places, place{anyPort(path.ListenerPort), proxyKey(n, fmt.Sprintf("expose.paths[%d].listenerPort", i))})
		}
	}
	if len(places) == 0 {
		return notAsked("the configuration exposes no path")
	}
	return f.lookPlaces(places...)
}

func (f *facts) lookReady(ctx context.Context) Finding {
	life := f.life(mesh.ContainerDataplane)
	var c taskmeta.Container
	if f.task != nil {
		c, _ = f.task.Container(mesh.ContainerDataplane)
	}
	if life == lifeAhead {
		return skip("needs the container %s, which does not run yet", mesh.ContainerDataplane)
	}
	var found Finding
	for _, e := range f.envoys() {
		at := e.Ready()
		found = readyFinding(at, envoy.CheckReady(ctx, at), life, time.Since(c.StartedAt))
		if found.Status != OK {
			break
		}
	}
	return found
}

// startTime is how long a dataplane may take to get its first configuration before that is worth a failure.
const startTime = 30 * time.Second

// readyFinding judges Envoy's answer. runs is for how long the dataplane's container has been running.
func readyFinding(at netip.AddrPort, answer error, dataplane life, runs time.Duration) Finding {
	const fix = "the log of the container " + mesh.ContainerDataplane + " tells what it waits for"
	switch {
	case answer == nil:
		return ok("%s says that the proxy serves", at)
	case dataplane == lifeUnknown:
		return skip("needs metadata: nobody knows whether there should be a proxy; %v", answer)
	case dataplane == lifeOver:
		return fail("the container "+mesh.ContainerDataplane+" has ended", "its log says why")
	case runs < startTime:
		return warn(fmt.Sprintf("not ready yet, %s after the dataplane's start: %v", runs.Round(time.Second), answer), fix)
	}
	return fail(fmt.Sprintf("not ready: %v", answer), fix)
}
