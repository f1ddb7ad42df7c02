package meshinit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/atomicfile"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// caFile is the name of the CA certificates in the shared volume; the incumbent's.
const caFile = "consul-grpc-ca-cert.pem"

// writeFiles leaves in the shared volume what the dataplane needs. Nothing of it is secret but the bearer token, which is
// "" unless the configuration asks for it.
func writeFiles(cfg agentconfig.Config, s consul.Settings, r consul.Registration, bearer string) error {
	if cfg.SharesAgent() {
		if err := shareAgent(cfg.BootstrapDir); err != nil {
			return fmt.Errorf("put the agents' program into the shared volume: %w", err)
		}
	}
	if s.GRPC.TLS && s.GRPCCAPEM != "" {
		if err := atomicfile.Write(filepath.Join(cfg.BootstrapDir, caFile), strings.NewReader(s.GRPCCAPEM), 0o444); err != nil {
			return fmt.Errorf("write CA certificates: %w", err)
		}
	}
	if err := shareHTTPSCA(cfg, s); err != nil {
		return fmt.Errorf("write CA certificates: %w", err)
	}
	return writeDataplane(cfg, s, r, bearer)
}

// writeDataplane leaves the dataplane's configuration.
func writeDataplane(cfg agentconfig.Config, s consul.Settings, r consul.Registration, bearer string) error {
	ca := s.GRPC.CACertFile
	if s.GRPC.TLS && s.GRPCCAPEM != "" {
		ca = filepath.Join(cfg.BootstrapDir, caFile)
	}
	file := dataplaneFile(cfg, s, r, ca)
	if c := file.Consul.Credentials; c != nil {
		c.Login.BearerToken = bearer
	}
	return dataplanefile.Write(cfg.BootstrapDir, file)
}

// shareAgent copies this program. A link will not do: the image and the volume are different file systems.
func shareAgent(dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	program, err := os.Open(self)
	if err != nil {
		return err
	}
	defer program.Close()
	return atomicfile.Write(filepath.Join(dir, mesh.SharedAgent), program, 0o755)
}

// dataplaneFile is the dataplane's configuration. A static token is not in it: it reaches the dataplane by its own
// environment.
func dataplaneFile(cfg agentconfig.Config, s consul.Settings, r consul.Registration, ca string) dataplanefile.File {
	proxy := cfg.ProxySettings()
	f := dataplanefile.File{
		Consul: dataplanefile.Consul{
			Addresses: dataplanefile.Addresses(s.Hosts), GRPCPort: s.GRPC.Port, ServerWatchDisabled: s.SkipServerWatch,
			TLS: dataplanefile.TLS{Disabled: !s.GRPC.TLS},
		},
		Proxy:     dataplanefile.Proxy{NodeName: r.Node, ID: r.ProxyID, Namespace: s.Scope.Namespace, Partition: s.Scope.Partition},
		XDSServer: dataplanefile.XDSServer{BindAddress: "127.0.0.1"},
		Envoy:     dataplanefile.Envoy{ReadyBindAddress: "127.0.0.1", ReadyBindPort: proxy.HealthCheckPort},
		Logging:   dataplanefile.Logging{LogLevel: cfg.LogLevel, LogJSON: cfg.LogJSON},
		Locality:  locality(cfg, s, r),
	}
	if f.Logging.LogLevel == "" {
		f.Logging.LogLevel = "INFO"
	}
	if s.GRPC.TLS {
		f.Consul.TLS.CACertsPath, f.Consul.TLS.ServerName = ca, s.GRPC.ServerName
	}
	if cfg.ResolvesNames() {
		f.DNSServer = &dataplanefile.DNSServer{BindAddress: loopback.String(), BindPort: new(mesh.PortDNS)}
	}
	if cfg.CallsByName() {
		f.DNSServer = &dataplanefile.DNSServer{BindAddress: loopback.String(), BindPort: new(mesh.PortResolver)}
		f.Names = &dataplanefile.Names{Ports: cfg.NamesSettings().Ports}
	}
	for i, pair := range cfg.Pairs("") {
		if pair.Further() {
			f.FurtherProxies = append(f.FurtherProxies, dataplanefile.FurtherProxy{ID: r.Pairs()[i].ProxyID, ReadyBindPort: pair.Proxy.HealthCheckPort})
		}
	}
	if d := proxy.Dataplane; d != nil {
		f.Envoy.Concurrency, f.Envoy.DrainTimeSeconds, f.Envoy.StopWithinSeconds = d.Concurrency, d.DrainTimeSeconds, d.StopWithinSeconds
		f.Envoy.RetryUndeliveredDisabled = d.RetryUndelivered != nil && !*d.RetryUndelivered
	}
	if l := s.Login; l != nil {
		f.Consul.Credentials = &dataplanefile.Credentials{Type: dataplanefile.CredentialsLogin, Login: dataplanefile.Login{
			AuthMethod: l.Method, Namespace: l.Namespace, Partition: l.Partition, Datacenter: l.Datacenter, Meta: l.Meta,
			Region: l.Region, STSEndpoint: l.STSEndpoint, IAMEndpoint: l.IAMEndpoint,
			IncludeEntity: l.IncludeEntity, ServerIDHeaderValue: l.ServerIDHeaderValue, TokenTTLSeconds: int(l.TokenLife / time.Second),
		}}
	}
	return f
}

// explainVolume says what an operator can do about a volume that cannot be written to.
func explainVolume(err error, dir string) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w\nhint: the shared volume %s is full: give the task more ephemeral storage, or the volume fewer other files", err, dir)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w\nhint: this container's user must be able to write to the shared volume %s: see the mount point's readOnly, and whose the folder is", err, dir)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w\nhint: bootstrapDir must be where the shared volume is mounted", err)
	}
	return err
}
