package dataplanefile

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Defaults that the official format leaves to the dataplane.
const (
	loopback           = "127.0.0.1"
	defaultStopWithin  = 25 // seconds; ECS kills a container 30 s after SIGTERM unless told otherwise
	defaultDrainTime   = 30 // seconds, as the official dataplane has it
	maxStopWithin      = 120
	maxDrainTime       = 600
	maxEnvoyThreads    = 256
	readableByEveryone = 0o444
)

// Write checks the file and puts it into dir in one step: a reader sees the old file or the new one, never a part, also
// when mesh-init dies meanwhile or runs again. The mode is 0444 because the readers run as different users and the file
// holds nothing secret.
func Write(dir string, f File) (err error) {
	if err := withDefaults(f).check(); err != nil {
		return fmt.Errorf("write %s: %w", Name, err)
	}
	data, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("write %s: %w", Name, err)
	}
	tmp, err := os.CreateTemp(dir, "."+Name+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", Name, err)
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
			err = fmt.Errorf("write %s: %w", Name, err)
		}
	}()
	_, err = tmp.Write(append(data, '\n'))
	if err := errors.Join(err, tmp.Chmod(readableByEveryone), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), filepath.Join(dir, Name))
}

// Read reads the file at path, applies the defaults and checks it. Keys that it does not know are passed over, because
// the official format has more of them than our dataplane needs.
func Read(path string) (File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return File{}, fmt.Errorf("read dataplane file: %w", err)
	}
	var f File
	if err := json.Unmarshal(data, &f); err != nil {
		return File{}, fmt.Errorf("read dataplane file %s: %w", path, err)
	}
	f = withDefaults(f)
	if err := f.check(); err != nil {
		return File{}, fmt.Errorf("read dataplane file %s: %w", path, err)
	}
	return f, nil
}

func withDefaults(f File) File {
	f.Consul.GRPCPort = cmp.Or(f.Consul.GRPCPort, mesh.PortConsulGRPC)
	f.XDSServer.BindAddress = cmp.Or(f.XDSServer.BindAddress, loopback)
	f.Envoy.AdminBindAddress = cmp.Or(f.Envoy.AdminBindAddress, loopback)
	f.Envoy.AdminBindPort = cmp.Or(f.Envoy.AdminBindPort, mesh.PortEnvoyAdmin)
	f.Envoy.ReadyBindAddress = cmp.Or(f.Envoy.ReadyBindAddress, loopback)
	f.Envoy.ReadyBindPort = cmp.Or(f.Envoy.ReadyBindPort, mesh.PortReadiness)
	f.Envoy.DrainTimeSeconds = cmp.Or(f.Envoy.DrainTimeSeconds, defaultDrainTime)
	f.Envoy.StopWithinSeconds = cmp.Or(f.Envoy.StopWithinSeconds, defaultStopWithin)
	f.Logging.LogLevel = cmp.Or(f.Logging.LogLevel, "info")
	return f
}

// check gathers everything that is wrong, each with its JSON path. Defaults have been applied.
func (f File) check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if f.Consul.Addresses == "" {
		wrong("consul.addresses: missing")
	}
	if f.Proxy.ID == "" {
		wrong("proxy.id: missing")
	}
	if c := f.Consul.Credentials; c != nil && c.Type != CredentialsLogin {
		wrong("consul.credentials.type: %q, want %q", c.Type, CredentialsLogin)
	}
	if c := f.Consul.Credentials; c != nil && c.Type == CredentialsLogin && c.Login.AuthMethod == "" {
		wrong("consul.credentials.login.authMethod: missing")
	}
	for _, n := range []struct {
		path       string
		v, lo, top int
	}{
		{"consul.grpcPort", f.Consul.GRPCPort, 1, 65535},
		{"xdsServer.bindPort", f.XDSServer.BindPort, 0, 65535},
		{"envoy.adminBindPort", f.Envoy.AdminBindPort, 1, 65535},
		{"envoy.readyBindPort", f.Envoy.ReadyBindPort, 1, 65535},
		{"envoy.concurrency", f.Envoy.Concurrency, 0, maxEnvoyThreads},
		{"envoy.drainTimeSeconds", f.Envoy.DrainTimeSeconds, 1, maxDrainTime},
		{"envoy.stopWithinSeconds", f.Envoy.StopWithinSeconds, 1, maxStopWithin},
	} {
		if n.v < n.lo || n.v > n.top {
			wrong("%s: %d, want %d to %d", n.path, n.v, n.lo, n.top)
		}
	}
	for _, a := range []struct{ path, addr string }{
		{"xdsServer.bindAddress", f.XDSServer.BindAddress},
		{"envoy.adminBindAddress", f.Envoy.AdminBindAddress},
		{"envoy.readyBindAddress", f.Envoy.ReadyBindAddress},
	} {
		if ip, err := netip.ParseAddr(a.addr); err != nil || !ip.IsLoopback() {
			wrong("%s: %q, want a loopback IP address", a.path, a.addr)
		}
	}
	if !slices.Contains([]string{"trace", "debug", "info", "warn", "error"}, strings.ToLower(f.Logging.LogLevel)) {
		wrong("logging.logLevel: %q, want trace, debug, info, warn or error", f.Logging.LogLevel)
	}
	return errors.Join(errs...)
}

// Listen is where the xDS proxy listens. It and the addresses below are those of a file that Read returned.
func (x XDSServer) Listen() netip.AddrPort { return addrPort(x.BindAddress, x.BindPort) }

// Admin is where Envoy's admin interface listens.
func (e Envoy) Admin() netip.AddrPort { return addrPort(e.AdminBindAddress, e.AdminBindPort) }

// Ready is where Envoy's ready listener answers GET /ready.
func (e Envoy) Ready() netip.AddrPort { return addrPort(e.ReadyBindAddress, e.ReadyBindPort) }

func addrPort(addr string, port int) netip.AddrPort {
	ip, _ := netip.ParseAddr(addr) // check has tried it
	return netip.AddrPortFrom(ip, uint16(port))
}
