package provider

import (
	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

type consulServersModel struct {
	Hosts           *string      `tfsdk:"hosts"`
	SkipServerWatch *bool        `tfsdk:"skip_server_watch"`
	TLS             *tlsModel    `tfsdk:"tls" spec:"-"`
	HTTP            *serverModel `tfsdk:"http" spec:"-"`
	GRPC            *serverModel `tfsdk:"grpc"`
}

type tlsModel struct {
	Enabled          *bool   `tfsdk:"enabled"`
	ServerName       *string `tfsdk:"server_name"`
	CASecretARN      *string `tfsdk:"ca_secret_arn"`
	GRPCCASecretARN  *string `tfsdk:"grpc_ca_secret_arn"`
	HTTPSCASecretARN *string `tfsdk:"https_ca_secret_arn"`
	CAFile           *string `tfsdk:"ca_file"`
}

type serverModel struct {
	Port       *int32  `tfsdk:"port"`
	TLS        *bool   `tfsdk:"tls"`
	ServerName *string `tfsdk:"server_name" spec:"TLSServerName"`
	CAFile     *string `tfsdk:"ca_file" spec:"CACertFile"`
}

type loginModel struct {
	Enabled        *bool             `tfsdk:"enabled"`
	AuthMethod     *string           `tfsdk:"auth_method" spec:"Method"`
	Datacenter     *string           `tfsdk:"datacenter"`
	IncludeEntity  *bool             `tfsdk:"include_entity"`
	Meta           map[string]string `tfsdk:"meta"`
	Region         *string           `tfsdk:"region"`
	STSEndpoint    *string           `tfsdk:"sts_endpoint"`
	IAMEndpoint    *string           `tfsdk:"iam_endpoint"`
	ServerIDHeader *string           `tfsdk:"server_id_header" spec:"ServerIDHeaderValue"`
}

func (m *consulServersModel) spec() taskdef.Servers {
	var s taskdef.Servers
	if m == nil {
		return s
	}
	toSpec(&s.ConsulServers, m)
	if m.TLS != nil {
		s.Defaults = &agentconfig.ServerDefaults{TLS: m.TLS.Enabled, TLSServerName: value(m.TLS.ServerName), CACertFile: value(m.TLS.CAFile)}
		s.CASecretARN = value(m.TLS.CASecretARN)
		s.GRPCCASecretARN = value(m.TLS.GRPCCASecretARN)
		s.HTTPSCASecretARN = value(m.TLS.HTTPSCASecretARN)
	}
	if m.HTTP != nil {
		s.HTTP = &agentconfig.ServerHTTP{
			Port: int(value(m.HTTP.Port)), HTTPS: m.HTTP.TLS, TLSServerName: value(m.HTTP.ServerName), CACertFile: value(m.HTTP.CAFile),
		}
	}
	return s
}

func (m *loginModel) spec() agentconfig.ConsulLogin {
	var login agentconfig.ConsulLogin
	if m != nil {
		toSpec(&login, m)
	}
	return login
}

// value is what p points to; the zero value if it is nil.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
