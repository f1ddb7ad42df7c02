package dataplane

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/hashicorp/consul/proto-public/pbdataplane"

	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
	"github.com/consulecs/terraform-provider-consulecs/internal/pemfiles"
)

// bootstrap is Envoy's: what the file says, and what Consul says of the proxy.
func (a *agent) bootstrap(params *pbdataplane.GetEnvoyBootstrapParamsResponse, xdsAddr netip.AddrPort) (envoy.Bootstrap, error) {
	e, p := a.file.Envoy, a.file.Telemetry.Prometheus
	b := envoy.Bootstrap{
		ProxyID: a.file.Proxy.ID, Service: params.GetIdentity(), NodeName: params.GetNodeName(),
		Namespace: params.GetNamespace(), Partition: params.GetPartition(), Datacenter: params.GetDatacenter(),
		AccessLogs: params.GetAccessLogs(),
		XDS:        xdsAddr, Admin: e.Admin(), Ready: e.Ready(),
		Prometheus: envoy.Prometheus{Path: p.ScrapePath, Backend: p.Merged()},
	}
	var err error
	if b.MaxInbound, err = envoy.ConnectionLimit(); err != nil {
		return b, err
	}
	if use := a.file.Telemetry.UseCentralConfig; use != nil && !*use {
		return b, nil
	}
	if b.Central, err = envoy.ParseCentral(params.GetConfig().AsMap(), a.getenv); err != nil {
		return b, err
	}
	if p.CertFile == "" || !b.Central.Prometheus.IsValid() {
		return b, nil
	}
	b.Prometheus.TLS = &envoy.ServerTLS{CertFile: p.CertFile, KeyFile: p.KeyFile}
	if p.CACertsPath != "" {
		b.Prometheus.TLS.CAPEM, err = readCertificates(p.CACertsPath)
	}
	return b, err
}

// readCertificates reads the file name, or every file right under the folder name, into one text.
func readCertificates(name string) (string, error) {
	files, err := pemfiles.Read(name)
	errs := []error{err}
	var all strings.Builder
	for _, f := range files {
		if !x509.NewCertPool().AppendCertsFromPEM(f.PEM) {
			errs = append(errs, fmt.Errorf("%s holds no certificate in PEM form", f.Name))
		}
		all.Write(f.PEM)
		all.WriteByte('\n')
	}
	if err := errors.Join(errs...); err != nil {
		return "", fmt.Errorf("telemetry.prometheus.caCertsPath: %w", err)
	}
	if len(files) == 0 {
		return "", fmt.Errorf("telemetry.prometheus.caCertsPath: %s is empty", name)
	}
	return all.String(), nil
}
