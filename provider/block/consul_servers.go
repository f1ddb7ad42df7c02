// Package block is the provider's surface, block by block: what a user may write (the schema), the model it is read into, what it
// means for a task (to a Spec) and how it is read back from one (import). It calls nobody.
//
// # Organization
//
// A file has the name of its block and holds the model, the rows of the schema, and the ways to a Spec and back. What belongs to
// one of them but is long lies beside it: a file *_check.go refuses, *_refresh.go reads AWS back, import.go reads back what others
// made. defaults.go is what the provider's configuration gives to every resource.
package block

import (
	"reflect"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/remote"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

type ConsulServers struct {
	Hosts           *string `tfsdk:"hosts"`
	SkipServerWatch *bool   `tfsdk:"skip_server_watch"`
	TLS             *TLS    `tfsdk:"tls" spec:"-" at:"defaults,."`
	HTTP            *Server `tfsdk:"http" spec:"-"`
	GRPC            *Server `tfsdk:"grpc"`
}

type TLS struct {
	Enabled          *bool   `tfsdk:"enabled" at:"tls"`
	ServerName       *string `tfsdk:"server_name" at:"tlsServerName"`
	CASecretARN      *string `tfsdk:"ca_secret_arn"`
	GRPCCASecretARN  *string `tfsdk:"grpc_ca_secret_arn"`
	HTTPSCASecretARN *string `tfsdk:"https_ca_secret_arn"`
	CAFile           *string `tfsdk:"ca_file" at:"caCertFile"`
}

type Server struct {
	Port       *int32  `tfsdk:"port"`
	TLS        *bool   `tfsdk:"tls" at:"https"`
	ServerName *string `tfsdk:"server_name" spec:"TLSServerName"`
	CAFile     *string `tfsdk:"ca_file" spec:"CACertFile"`
}

func (m *ConsulServers) Spec() taskdef.Servers {
	var s taskdef.Servers
	if m == nil {
		return s
	}
	row.ToSpec(&s.ConsulServers, m)
	if m.TLS != nil {
		s.Defaults = &agentconfig.ServerDefaults{TLS: m.TLS.Enabled, TLSServerName: row.Value(m.TLS.ServerName), CACertFile: row.Value(m.TLS.CAFile)}
		s.CASecretARN = row.Value(m.TLS.CASecretARN)
		s.GRPCCASecretARN = row.Value(m.TLS.GRPCCASecretARN)
		s.HTTPSCASecretARN = row.Value(m.TLS.HTTPSCASecretARN)
	}
	if m.HTTP != nil {
		s.HTTP = &agentconfig.ServerHTTP{
			Port: int(row.Value(m.HTTP.Port)), HTTPS: m.HTTP.TLS, TLSServerName: row.Value(m.HTTP.ServerName), CACertFile: row.Value(m.HTTP.CAFile),
		}
	}
	return s
}

// ConsulServersFields is the way to Consul's servers, as the provider and every resource take it.
func ConsulServersFields() row.Fields {
	port := func(name, defaultPort string) row.Fields {
		return row.Fields{
			"port":        row.Nonzero("Port. Default " + defaultPort + "."),
			"tls":         row.Flag("TLS at this port. Default: `tls.enabled`."),
			"server_name": row.Text("Name to verify the certificate of the " + name + " port by. Default: `tls.server_name`."),
			"ca_file":     row.Text("File in the injected containers with the CA's PEM text for the " + name + " port. Default: `tls.ca_file`."),
		}
	}
	return row.Fields{
		"hosts":             row.Text("Where the servers are, without a port: IP addresses and DNS names with commas between them, `provider=aws tag_key=… tag_value=…` to find EC2 instances by a tag (the task role then needs `ec2:DescribeInstances`), or `exec=` and a command that prints addresses. Several, or found by tag, they need `tls.server_name`."),
		"skip_server_watch": row.Flag("Do not follow the servers' own list of addresses: set it where a load balancer stands before them. Default `false`."),
		"tls": row.Object("TLS to the servers.", row.Fields{
			"enabled":             row.Flag("TLS at both ports. Default `true`."),
			"server_name":         row.Text("Name to verify the servers' certificates by, such as `server.dc1.consul`. Default: the host."),
			"ca_secret_arn":       row.Text("ARN of the Secrets Manager secret with the CA's PEM text. Default: the system's roots.", row.OrNone(row.SecretARN())),
			"grpc_ca_secret_arn":  row.Text("The same for the gRPC port alone.", row.OrNone(row.SecretARN())),
			"https_ca_secret_arn": row.Text("The same for the HTTPS port alone.", row.OrNone(row.SecretARN())),
			"ca_file":             row.Text("File in the injected containers with the CA's PEM text. The secrets win."),
		}),
		"http": row.Object("The HTTP API.", port("HTTP", "8501, or 8500 without TLS")),
		"grpc": row.Object("The gRPC port: discovery of servers, logins, xDS.", port("gRPC", "8503, or 8502 without TLS")),
	}
}

// ReadServers is nil where the provider's settings lead to the same servers.
func ReadServers(cfg agentconfig.ConsulServers, containers []ecstypes.ContainerDefinition, d Defaults) *ConsulServers {
	https, grpc := SecretOf(containers, mesh.VariableHTTPSCACert), SecretOf(containers, mesh.VariableGRPCCACert)
	same := func(m *ConsulServers) bool {
		spec := row.Overlay(d.Servers, m).Spec()
		definition, err := taskdef.BuildController(taskdef.ControllerSpec{Servers: spec, Image: "any", TokenSecretARN: "arn:aws:secretsmanager:us-east-1:123456789012:secret:any"})
		if err != nil {
			return false
		}
		read, err := ReadConfig(definition.ContainerDefinitions)
		return err == nil && reflect.DeepEqual(read.ConsulServers, cfg) &&
			SecretOf(definition.ContainerDefinitions, mesh.VariableHTTPSCACert) == https && SecretOf(definition.ContainerDefinitions, mesh.VariableGRPCCACert) == grpc
	}
	if d.Servers != nil && same(nil) {
		return nil
	}
	m := &ConsulServers{TLS: &TLS{}}
	row.FromSpec(m, cfg)
	importTLS(m.TLS, cfg.Defaults, https, grpc)
	row.Unset(m, d.Servers)
	quiet := *m.TLS
	quiet.Enabled = nil
	for _, tls := range []*TLS{nil, &quiet, m.TLS} {
		if brief := (&ConsulServers{Hosts: m.Hosts, SkipServerWatch: m.SkipServerWatch, TLS: tls}); same(brief) {
			return brief
		}
	}
	if cfg.HTTP != nil {
		m.HTTP = &Server{TLS: cfg.HTTP.HTTPS}
		row.FromSpec(&m.HTTP.Port, cfg.HTTP.Port)
		row.FromSpec(&m.HTTP.ServerName, cfg.HTTP.TLSServerName)
		row.FromSpec(&m.HTTP.CAFile, cfg.HTTP.CACertFile)
	}
	return m
}

func importTLS(m *TLS, cfg *agentconfig.ServerDefaults, https, grpc string) {
	if cfg != nil {
		m.Enabled = cfg.TLS
		row.FromSpec(&m.ServerName, cfg.TLSServerName)
		row.FromSpec(&m.CAFile, cfg.CACertFile)
	}
	if https == grpc {
		row.FromSpec(&m.CASecretARN, https)
		return
	}
	row.FromSpec(&m.HTTPSCASecretARN, https)
	row.FromSpec(&m.GRPCCASecretARN, grpc)
}

// ConsulAPI is where the provider itself asks Consul. Its resources never do.
type ConsulAPI struct {
	Address    *string `tfsdk:"address"`
	Token      *string `tfsdk:"token"`
	CAFile     *string `tfsdk:"ca_file"`
	CAPEM      *string `tfsdk:"ca_pem"`
	ServerName *string `tfsdk:"server_name"`
	Partition  *string `tfsdk:"partition"`
}

// Server is where to ask; the environment of Consul's own command says what the model does not.
func (m *ConsulAPI) Server() remote.Server {
	return remote.Server{
		Address: row.Value(m.Address), Token: row.Value(m.Token), CAFile: row.Value(m.CAFile), CAPEM: row.Value(m.CAPEM),
		ServerName: row.Value(m.ServerName), Partition: row.Value(m.Partition),
	}
}

// ConsulClient speaks with Consul, where the provider says that it is; what is wrong with that is among the diagnostics. Nothing is asked yet.
func (d Defaults) ConsulClient(diags *diag.Diagnostics) *remote.Client {
	d.RefuseUnknown(diags, "consul")
	if d.Consul == nil {
		diags.AddError("Consul not known", "Nothing says where Consul is: set consul.address of the provider, or CONSUL_HTTP_ADDR.")
	}
	if diags.HasError() {
		return nil
	}
	client, err := remote.New(d.Consul.Server())
	if err != nil {
		diags.AddError("Consul not reached", err.Error())
	}
	return client
}

func ConsulAPIFields() row.Fields {
	token := row.Text("ACL token. It may be ephemeral, such as that of `consulecs_consul_token` of another configuration of the provider. Default: `CONSUL_HTTP_TOKEN`, else none.")
	token.Sensitive = true
	return row.Fields{
		"address":     row.Text("URL of the HTTP API, such as `https://consul.example.com:8501`. Default: `CONSUL_HTTP_ADDR`.", row.EndpointURL{}),
		"token":       token,
		"ca_file":     row.Text("File with the CA's PEM text. Default: `CONSUL_CACERT`, else the system's roots."),
		"ca_pem":      row.Text("The CA's PEM text itself."),
		"server_name": row.Text("Name to verify the server's certificate by, such as `server.dc1.consul`. Default: `CONSUL_TLS_SERVER_NAME`, else the host of `address`."),
		"partition":   row.Text("Admin partition of Consul Enterprise. Default: `CONSUL_PARTITION`, else none."),
	}
}
