package consul

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/pemfiles"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

// Settings is everything needed to reach Consul's servers, with every default applied.
type Settings struct {
	Hosts                string // as agentconfig.ParseHosts reads it
	SkipServerWatch      bool
	HTTP, GRPC           agentconfig.Endpoint
	HTTPCAPEM, GRPCCAPEM string     // PEM text from the environment; beats the endpoints' files
	Token                string     // static, "" for none; where there is one, nobody logs in
	Login                *Login     // nil: no login
	Scope                mesh.Scope // of the service; in the queries of the HTTP API

	CertFile, KeyFile  string // the client's certificate, for servers that want one; "" for none
	InsecureSkipVerify bool   // any server will do

	MaxWritesPerSecond int // of the HTTP API; 0: as many as there are. Those of a lock do not count: they cannot wait

	Sent func(method string, status int)  // hears of each request of the HTTP API, with the status of its answer or 0 for none; nil: nobody asks
	Took func(step Step, d time.Duration) // hears how long the steps took that succeeded; nil: nobody asks
}

// Step is a part of getting connected.
type Step string

// The steps.
const (
	StepDiscover Step = "discover_servers"
	StepLogin    Step = "login"
)

func (s Settings) took(step Step, since time.Time) {
	if s.Took != nil {
		s.Took(step, time.Since(since))
	}
}

func (s Settings) sent(req *http.Request, resp *http.Response) {
	switch {
	case s.Sent == nil:
	case resp == nil:
		s.Sent(req.Method, 0)
	default:
		s.Sent(req.Method, resp.StatusCode)
	}
}

// Login is how an agent turns the task's IAM role into a Consul token. The bearer token is minted for each login and never kept.
type Login struct {
	Method, Datacenter, Partition, Namespace string
	Region                                   string // that the STS request is signed for
	STSEndpoint, IAMEndpoint                 string // "" means the AWS SDK's: its environment, else the AWS partition's
	ServerIDHeaderValue                      string
	IncludeEntity                            bool
	TokenLife                                time.Duration           // of its tokens, for an agent that does not ask the HTTP API, which would tell; 0 for not known
	LifeGiven                                bool                    // TokenLife is all that is to be known: the HTTP API is not asked though it can be
	BearerFile                               string                  // of an auth method other than aws-iam: read for each login; "" means that a bearer token is minted
	Meta                                     map[string]string       // ends up in the token's description
	Credentials                              aws.CredentialsProvider // that sign it; nil means those of the environment
}

// SettingsOf reads an agent's settings from its configuration, its task and its environment. It touches nothing.
func SettingsOf(cfg agentconfig.Config, task taskmeta.Task, getenv func(string) string) (Settings, error) {
	service := cfg.ServiceSettings(task.Family)
	s := Settings{
		Hosts:           cfg.ConsulServers.Hosts,
		SkipServerWatch: cfg.ConsulServers.SkipServerWatch,
		HTTP:            cfg.ConsulServers.HTTPEndpoint(),
		GRPC:            cfg.ConsulServers.GRPCEndpoint(),
		HTTPCAPEM:       getenv(mesh.VariableHTTPSCACert),
		GRPCCAPEM:       getenv(mesh.VariableGRPCCACert),
		Token:           strings.TrimSpace(getenv(mesh.VariableToken)),
		Scope:           mesh.Scope{Partition: service.Partition, Namespace: service.Namespace},
	}
	if _, err := agentconfig.ParseHosts(s.Hosts); err != nil {
		return Settings{}, fmt.Errorf("consulServers.hosts: %w", err)
	}
	for variable, text := range map[string]string{mesh.VariableHTTPSCACert: s.HTTPCAPEM, mesh.VariableGRPCCACert: s.GRPCCAPEM} {
		if text != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(text)) {
			return Settings{}, fmt.Errorf("%s holds no certificate in PEM form", variable)
		}
	}
	if login := cfg.Login(); login.Enabled && s.Token == "" {
		s.Login = loginOf(login, task, service)
	}
	return s, nil
}

// loginOf fills in the task's own facts. The two meta keys by which the controller finds a token's task are not for users
// to change: a token under a wrong name is one that nobody removes, or one that is removed under a living task.
func loginOf(login agentconfig.ConsulLogin, task taskmeta.Task, service agentconfig.Service) *Login {
	meta := maps.Clone(login.Meta)
	if meta == nil {
		meta = map[string]string{}
	}
	meta[mesh.LoginMetaTaskID] = task.ID
	meta[mesh.LoginMetaCluster] = task.ClusterARN
	region := login.Region
	if region == "" {
		region = task.Region
	}
	return &Login{
		Method: login.Method, Datacenter: login.Datacenter, Partition: service.Partition,
		Region: region, STSEndpoint: login.STSEndpoint, IAMEndpoint: login.IAMEndpoint,
		ServerIDHeaderValue: login.ServerIDHeaderValue, IncludeEntity: *login.IncludeEntity, Meta: meta,
	}
}

// tlsConfig is how to verify the servers at one of their ports; nil where the port speaks plain text. pem beats the
// endpoint's file, which may also be a folder of certificates; with neither, the system's roots decide.
func (s Settings) tlsConfig(e agentconfig.Endpoint, pem string) (*tls.Config, error) {
	if !e.TLS {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: e.ServerName, InsecureSkipVerify: s.InsecureSkipVerify}
	if s.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read client certificate: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	if cfg.ServerName == "" {
		hosts, _ := agentconfig.ParseHosts(s.Hosts) // whoever made the settings has tried it
		cfg.ServerName = hosts.OneName()
	}
	if pem == "" && e.CACertFile == "" {
		return cfg, nil
	}
	cfg.RootCAs = x509.NewCertPool()
	if pem != "" {
		cfg.RootCAs.AppendCertsFromPEM([]byte(pem)) // SettingsOf has tried it
		return cfg, nil
	}
	return cfg, addCertificates(cfg.RootCAs, e.CACertFile)
}

// addCertificates adds the file name, or every file right under the folder name, to the pool.
func addCertificates(pool *x509.CertPool, name string) error {
	files, err := pemfiles.Read(name)
	if err != nil {
		return fmt.Errorf("read CA certificates: %w", err)
	}
	found := false
	for _, f := range files {
		found = pool.AppendCertsFromPEM(f.PEM) || found
	}
	if !found {
		return fmt.Errorf("read CA certificates: %s holds no certificate in PEM form", name)
	}
	return nil
}
