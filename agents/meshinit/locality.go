package meshinit

import (
	"path/filepath"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/atomicfile"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
)

// httpsCAFile is the name of the HTTP API's CA certificates in the shared volume.
const httpsCAFile = "consul-https-ca-cert.pem"

// locality is what the dataplane has to know to have calls stay in the zone; nil where nobody asks for it. It is the only thing for which a
// dataplane calls the HTTP API.
func locality(cfg agentconfig.Config, s consul.Settings, r consul.Registration) *dataplanefile.Locality {
	if !cfg.PrefersZone() {
		return nil
	}
	want := cfg.LocalitySettings()
	l := &dataplanefile.Locality{Spill: want.Spill, Zones: want.Zones, Address: r.Address(), HTTP: &dataplanefile.HTTP{Port: s.HTTP.Port, TLSDisabled: !s.HTTP.TLS}}
	l.Region, l.Zone = r.Place()
	if s.HTTP.TLS {
		l.HTTP.ServerName, l.HTTP.CACertsPath = s.HTTP.ServerName, s.HTTP.CACertFile
		if s.HTTPCAPEM != "" {
			l.HTTP.CACertsPath = filepath.Join(cfg.BootstrapDir, httpsCAFile)
		}
	}
	return l
}

// shareHTTPSCA leaves the certificates of the HTTP API's CA for a dataplane that calls it.
func shareHTTPSCA(cfg agentconfig.Config, s consul.Settings) error {
	if !cfg.PrefersZone() || !s.HTTP.TLS || s.HTTPCAPEM == "" {
		return nil
	}
	return atomicfile.Write(filepath.Join(cfg.BootstrapDir, httpsCAFile), strings.NewReader(s.HTTPCAPEM), 0o444)
}
