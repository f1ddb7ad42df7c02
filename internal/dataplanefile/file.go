// Package dataplanefile is the file that mesh-init leaves for the dataplane, mesh-ready and ready agents. Its format is the
// configuration file of the official consul-dataplane, so that either image can run behind either mesh-init, plus our
// additions under names that it does not use; those say "ours" below. The file holds no secret: our dataplane mints its own
// bearer token from the task role when it logs in. The one exception is for the official dataplane, which cannot: on request
// (consulLogin.embedBearerToken) the file holds a bearer token, with which a login is possible for some minutes.
package dataplanefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
)

// Name is the file's name in the shared volume; DefaultPath is where the injected containers see it.
const (
	Name        = "consul-dataplane.json"
	DefaultPath = "/consul/" + Name
)

// File is the whole document.
type File struct {
	Mode      string     `json:"mode,omitempty"`      // sidecar, the default and the only one that is supported
	Consul    Consul     `json:"consul"`              // how to reach Consul's servers
	Proxy     Proxy      `json:"proxy"`               // the registered proxy that Envoy runs for
	XDSServer XDSServer  `json:"xdsServer"`           // where Envoy reaches the dataplane's xDS proxy
	Envoy     Envoy      `json:"envoy"`               // the Envoy process; all addresses are loopback
	Logging   Logging    `json:"logging"`             // the dataplane's own log and Envoy's
	DNSServer *DNSServer `json:"dnsServer,omitempty"` // the DNS proxy; absent: none
	Names     *Names     `json:"names,omitempty"`     // ours: names of services lead to Envoy; absent: they do not
	Telemetry Telemetry  `json:"telemetry,omitzero"`  // metrics, Envoy's and the dataplane's own

	Locality *Locality `json:"locality,omitempty"` // ours: Envoy calls instances in the task's zone first; absent: it does not

	FurtherProxies []FurtherProxy `json:"furtherProxies,omitempty"` // ours: proxies that run beside the first, each with an Envoy of its own; default: none

	// Remarks are what Read found odd but no error, each with its JSON path.
	Remarks []string `json:"-"`
}

// Consul says how to reach Consul's servers.
type Consul struct {
	Addresses           string       `json:"addresses"`             // as agentconfig.ParseHosts reads it; see Addresses
	GRPCPort            int          `json:"grpcPort"`              // default 8502, as the official format has it
	ServerWatchDisabled bool         `json:"serverWatchDisabled"`   // do not follow the servers that a server tells of; default false
	TLS                 TLS          `json:"tls"`                   // TLS of the servers' gRPC port
	Credentials         *Credentials `json:"credentials,omitempty"` // nil: no token
}

// Addresses is hosts of the configuration in the official format, as far as that has one: cloud auto-join becomes a call of
// go-discover's program, which the official image has as well as ours. Several addresses stay as they are: the official
// dataplane takes one.
func Addresses(hosts string) string {
	if parsed, err := agentconfig.ParseHosts(hosts); err == nil && parsed.AutoJoin != "" {
		return parsed.Exec(agentconfig.DiscoverProgram)
	}
	return hosts
}

// TLS is the TLS of the servers' gRPC port. The official dataplane reads serverName while the incumbent's mesh-init writes
// tlsServerName: both keys are read and both are written.
type TLS struct {
	Disabled           bool   `json:"disabled"`           // plain text; default false
	CACertsPath        string `json:"caCertsPath"`        // a PEM file or a folder of them; default: the system's roots
	ServerName         string `json:"serverName"`         // to verify the certificate by; default: the host as given
	CertFile           string `json:"certFile"`           // the client's certificate; with keyFile or not at all
	KeyFile            string `json:"keyFile"`            // its key
	InsecureSkipVerify bool   `json:"insecureSkipVerify"` // any server will do; default false
}

type tlsJSON struct {
	Disabled           bool   `json:"disabled"`
	CACertsPath        string `json:"caCertsPath,omitempty"`
	ServerName         string `json:"serverName,omitempty"`
	TLSServerName      string `json:"tlsServerName,omitempty"`
	CertFile           string `json:"certFile,omitempty"`
	KeyFile            string `json:"keyFile,omitempty"`
	InsecureSkipVerify bool   `json:"insecureSkipVerify,omitempty"`
}

// MarshalJSON writes the server name under both of its keys.
func (t TLS) MarshalJSON() ([]byte, error) {
	return json.Marshal(tlsJSON{t.Disabled, t.CACertsPath, t.ServerName, t.ServerName, t.CertFile, t.KeyFile, t.InsecureSkipVerify})
}

// UnmarshalJSON reads the server name from either key. Two different names are an error.
func (t *TLS) UnmarshalJSON(data []byte) error {
	var raw tlsJSON
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	if raw.ServerName != "" && raw.TLSServerName != "" && raw.ServerName != raw.TLSServerName {
		return errors.New("consul.tls: serverName and tlsServerName differ")
	}
	if raw.ServerName == "" {
		raw.ServerName = raw.TLSServerName
	}
	*t = TLS{raw.Disabled, raw.CACertsPath, raw.ServerName, raw.CertFile, raw.KeyFile, raw.InsecureSkipVerify}
	return nil
}

// The types of Credentials; "" is no token at all.
const (
	CredentialsLogin  = "login"
	CredentialsStatic = "static"
)

// Credentials says where the dataplane's Consul token comes from. A token in the dataplane's environment beats it.
type Credentials struct {
	Type   string `json:"type"`            // login, static, or nothing for no token
	Static Static `json:"static,omitzero"` // with the type static
	Login  Login  `json:"login,omitzero"`  // with the type login
}

// Static is a token that is given. mesh-init never writes one: the file is readable by every container.
type Static struct {
	Token string `json:"token"` // the token's SecretID
}

// Login is the login with the task role.
type Login struct {
	AuthMethod          string            `json:"authMethod"`                    // the auth method's name
	Namespace           string            `json:"namespace,omitempty"`           // Enterprise; default: none
	Partition           string            `json:"partition,omitempty"`           // Enterprise; default: none
	Datacenter          string            `json:"datacenter"`                    // to log in to; default: the servers' own
	BearerToken         string            `json:"bearerToken,omitempty"`         // for the official dataplane alone
	BearerTokenPath     string            `json:"bearerTokenPath,omitempty"`     // a file that holds the bearer token, read at each login
	Meta                map[string]string `json:"meta"`                          // kept in the token's description
	Region              string            `json:"region,omitempty"`              // ours; default: the region of the task's ARN
	STSEndpoint         string            `json:"stsEndpoint,omitempty"`         // ours; default: the AWS SDK's
	IAMEndpoint         string            `json:"iamEndpoint,omitempty"`         // ours; default: the AWS SDK's
	IncludeEntity       bool              `json:"includeEntity,omitempty"`       // ours: lets Consul read the role and its tags; default false
	ServerIDHeaderValue string            `json:"serverIdHeaderValue,omitempty"` // ours: what the auth method wants in the header X-Consul-IAM-ServerID; default: no header
	TokenTTLSeconds     int               `json:"tokenTTLSeconds,omitempty"`     // ours: how long the login's tokens live, so that each is renewed in time; default: as long as the task
}

// Proxy names the registered proxy that Envoy runs for.
type Proxy struct {
	NodeName  string `json:"nodeName"`         // the catalog node of the proxy
	NodeID    string `json:"nodeID,omitempty"` // beats the name
	ID        string `json:"id"`               // catalog ID of the proxy; required unless idPath names a file that holds it
	IDPath    string `json:"idPath,omitempty"` // a file that holds the ID, where there is none
	Namespace string `json:"namespace"`        // Enterprise; default: none
	Partition string `json:"partition"`        // Enterprise; default: none
}

// XDSServer is where Envoy reaches the dataplane's xDS proxy: loopback only.
type XDSServer struct {
	BindAddress string `json:"bindAddress"`        // default 127.0.0.1
	BindPort    int    `json:"bindPort,omitempty"` // default: any free port
}

// Envoy configures the Envoy process. Zero fields mean the defaults. All addresses are loopback.
type Envoy struct {
	AdminBindAddress  string `json:"adminBindAddress,omitempty"`  // default 127.0.0.1
	AdminBindPort     int    `json:"adminBindPort,omitempty"`     // default 19000
	ReadyBindAddress  string `json:"readyBindAddress"`            // default 127.0.0.1
	ReadyBindPort     int    `json:"readyBindPort"`               // default 22000
	Concurrency       int    `json:"concurrency,omitempty"`       // worker threads; default: the task's CPUs, at most 2
	DrainTimeSeconds  *int   `json:"drainTimeSeconds,omitempty"`  // how long listeners drain, 0 for at once; default 30
	DrainStrategy     string `json:"drainStrategy,omitempty"`     // immediate (default) or gradual
	ExecutablePath    string `json:"executablePath,omitempty"`    // Envoy's program; default: envoy on the PATH
	StopWithinSeconds int    `json:"stopWithinSeconds,omitempty"` // ours: from SIGTERM to exit at the most; default 25, more with a long grace period

	RetryUndeliveredDisabled bool `json:"retryUndeliveredDisabled,omitempty"` // ours: Envoy does not try requests elsewhere that no application has got

	GracefulAddr                  string `json:"gracefulAddr,omitempty"`                  // of the life-cycle endpoints; default 127.0.0.1
	GracefulPort                  int    `json:"gracefulPort,omitempty"`                  // default 20300
	GracefulStartupPath           string `json:"gracefulStartupPath,omitempty"`           // default /graceful_startup
	StartupGracePeriodSeconds     int    `json:"startupGracePeriodSeconds,omitempty"`     // how long that waits for Envoy to be ready; default: it does not
	GracefulShutdownPath          string `json:"gracefulShutdownPath,omitempty"`          // default /graceful_shutdown
	ShutdownGracePeriodSeconds    int    `json:"shutdownGracePeriodSeconds,omitempty"`    // how long Envoy serves on at the least once told to stop
	ShutdownDrainListenersEnabled bool   `json:"shutdownDrainListenersEnabled,omitempty"` // listeners drain at once, not only when the application has stopped
	DumpEnvoyConfigOnExitEnabled  bool   `json:"dumpEnvoyConfigOnExitEnabled,omitempty"`  // Envoy's configuration is printed when told to stop
}

// Logging is the dataplane's own log and Envoy's.
type Logging struct {
	LogLevel string `json:"logLevel"`          // trace, debug, info (default), warn or error, in any case
	LogJSON  bool   `json:"logJSON,omitempty"` // log lines as JSON objects
}

// Telemetry is about metrics, Envoy's and the dataplane's own.
type Telemetry struct {
	UseCentralConfig *bool      `json:"useCentralConfig,omitempty"` // whether the envoy_* keys in Consul count; default true
	Prometheus       Prometheus `json:"prometheus,omitzero"`        // what Prometheus scrapes, where Consul's configuration of the proxy asks for that
}

// Prometheus is about what Prometheus scrapes, where Consul's configuration of the proxy asks for that.
type Prometheus struct {
	RetentionTime     Duration `json:"retentionTime,omitempty"`     // accepted without effect: no metric of ours grows old
	CACertsPath       string   `json:"caCertsPath,omitempty"`       // a PEM file or a folder of them; who scrapes needs a certificate of these
	CertFile          string   `json:"certFile,omitempty"`          // certificate of the listener; default: plain text
	KeyFile           string   `json:"keyFile,omitempty"`           // its key
	ServiceMetricsURL string   `json:"serviceMetricsURL,omitempty"` // the application's, merged into the page
	ScrapePath        string   `json:"scrapePath,omitempty"`        // default /metrics
	MergePort         int      `json:"mergePort,omitempty"`         // loopback; default 20100
}

// Duration is a Go duration in a string, or a number of nanoseconds.
type Duration time.Duration

// MarshalJSON writes a string.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads either form; the fraction of a number is cut off.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return err
	}
	switch v := value.(type) {
	case float64:
		*d = Duration(v)
		return nil
	case string:
		parsed, err := time.ParseDuration(v)
		*d = Duration(parsed)
		return err
	default:
		return fmt.Errorf("invalid duration: %s", data)
	}
}
