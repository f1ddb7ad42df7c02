package dataplanefile

import (
	"cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Locality has Envoy call instances in the task's own zone while they are healthy.
type Locality struct {
	Region  string            `json:"region,omitempty"`  // of the task
	Zone    string            `json:"zone,omitempty"`    // of the task; without one nothing is preferred, unless the task's address is in one of the zones
	Address string            `json:"address,omitempty"` // the task's own
	Spill   string            `json:"spill,omitempty"`   // gradual (default): a part of the calls leaves the zone as soon as fewer than five of seven instances in it are healthy; full: all do when none is
	Zones   map[string]string `json:"zones,omitempty"`   // zones of networks, by their CIDR blocks; they beat the catalog. Default: none
	HTTP    *HTTP             `json:"http,omitempty"`    // the servers' HTTP API, where the catalog is read; absent: it is not
}

// HTTP says how to reach the HTTP API of Consul's servers, which are those of the gRPC port.
type HTTP struct {
	Port        int    `json:"port,omitempty"`        // default 8501
	TLSDisabled bool   `json:"tlsDisabled,omitempty"` // plain text; default false
	CACertsPath string `json:"caCertsPath,omitempty"` // a PEM file or a folder of them; default: the system's roots
	ServerName  string `json:"serverName,omitempty"`  // to verify the certificate by; default: the host as given
}

func (l *Locality) withDefaults() *Locality {
	if l == nil {
		return nil
	}
	with := *l
	with.Spill = cmp.Or(with.Spill, agentconfig.SpillGradual)
	if l.HTTP != nil {
		http := *l.HTTP
		http.Port = cmp.Or(http.Port, mesh.PortConsulHTTPS)
		with.HTTP = &http
	}
	return &with
}

func (f File) checkLocality(p *problems) {
	l := f.Locality
	if l == nil {
		return
	}
	oneOf(p, "locality.spill", l.Spill, agentconfig.SpillGradual, agentconfig.SpillFull)
	for cidr, zone := range l.Zones {
		if why := agentconfig.CheckNetwork(cidr); why != "" {
			p.add("locality.zones", "%q %s", cidr, why)
		}
		if why := agentconfig.CheckZone(zone); why != "" {
			p.add("locality.zones", "the zone of %q %s", cidr, why)
		}
	}
	if h := l.HTTP; h != nil && (h.Port < 1 || h.Port > 65535) {
		p.add("locality.http.port", "%d, want 1 to 65535", h.Port)
	}
}
