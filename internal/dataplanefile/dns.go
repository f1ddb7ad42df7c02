package dataplanefile

import (
	"cmp"
	"net/netip"
)

// DNSServer is where the task's queries for names in Consul are answered, over UDP and TCP: loopback only.
type DNSServer struct {
	BindAddress string `json:"bindAddress"` // default 127.0.0.1
	BindPort    *int   `json:"bindPort"`    // default -1, which means nowhere; 0 means any free port
}

// DNS is where the DNS server listens. on is false where none is wanted.
func (f File) DNS() (addr netip.AddrPort, on bool) {
	d := f.DNSServer
	if d == nil || d.BindPort == nil || *d.BindPort < 0 {
		return netip.AddrPort{}, false
	}
	return addrPort(cmp.Or(d.BindAddress, loopback), *d.BindPort), true
}

func (f File) checkDNS(p *problems) {
	d := f.DNSServer
	if d == nil {
		return
	}
	if port := d.BindPort; port != nil && (*port < -1 || *port > 65535) {
		p.add("dnsServer.bindPort", "%d, want -1 to 65535", *port)
	}
	if ip, err := netip.ParseAddr(cmp.Or(d.BindAddress, loopback)); err != nil || !ip.IsLoopback() {
		p.add("dnsServer.bindAddress", "%q, want a loopback IP address", d.BindAddress)
	}
}
