package dataplanefile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/atomicfile"
)

const readableByEveryone = 0o444

// Write checks the file and puts it into dir in one step: a reader sees the old file or the new one, never a part, also
// when mesh-init dies meanwhile or runs again. The mode is 0444 because the readers run as different users and the file
// holds nothing secret.
func Write(dir string, f File) error {
	if err := withDefaults(f).check(); err != nil {
		return fmt.Errorf("write %s: %w", Name, err)
	}
	data, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("write %s: %w", Name, err)
	}
	if err := atomicfile.Write(filepath.Join(dir, Name), bytes.NewReader(append(data, '\n')), readableByEveryone); err != nil {
		return fmt.Errorf("write %s: %w", Name, err)
	}
	return nil
}

// Read reads the file at path, applies the defaults and checks it. Keys that it does not know are no error, because the
// official format has more of them than our dataplane needs: they are among the remarks.
func Read(path string) (File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return File{}, fmt.Errorf("read dataplane file: %w", err)
	}
	var f File
	if err := json.Unmarshal(data, &f); err != nil {
		return File{}, fmt.Errorf("read dataplane file %s: %w", path, err)
	}
	f.Remarks = unknownKeys(data)
	if f.Proxy.ID == "" && f.Proxy.IDPath != "" {
		id, err := os.ReadFile(f.Proxy.IDPath)
		if err != nil {
			return File{}, fmt.Errorf("read dataplane file %s: proxy.idPath: %w", path, err)
		}
		f.Proxy.ID = strings.TrimSpace(string(id))
	}
	f = withDefaults(f)
	if err := f.check(); err != nil {
		return File{}, fmt.Errorf("read dataplane file %s: %w", path, err)
	}
	return f, nil
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

// Graceful is where the life-cycle endpoints answer.
func (e Envoy) Graceful() netip.AddrPort { return addrPort(e.GracefulAddr, e.GracefulPort) }

// Merged is where the merged metrics are served.
func (p Prometheus) Merged() netip.AddrPort { return addrPort(loopback, p.MergePort) }
