package block

import (
	"cmp"
	"reflect"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

type Login struct {
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

func (m *Login) Spec() agentconfig.ConsulLogin {
	var login agentconfig.ConsulLogin
	if m != nil {
		row.ToSpec(&login, m)
	}
	return login
}

// LoginFields is the login of the agents, as the provider and every resource take it.
func LoginFields() row.Fields {
	return row.Fields{
		"enabled":          row.Flag("Log in to Consul: set it where Consul's ACLs are on. Default `false`."),
		"auth_method":      row.Text("Name of Consul's aws-iam auth method. Default `iam-ecs-service-token`, which the controller keeps."),
		"datacenter":       row.Text("Datacenter to log in to. Default: the servers'."),
		"include_entity":   row.Flag("Send the role's tags along, which the binding rule reads. Default `true`."),
		"meta":             row.TextMap("Metadata of the token."),
		"region":           row.Text("Region of the STS endpoint that the login is signed for. Default: the task's."),
		"sts_endpoint":     row.Text("URL of STS that the login is signed for. Default: the region's.", row.OrNone(row.EndpointURL{})),
		"iam_endpoint":     row.Text("URL of IAM that the role's tags are read at. Default: AWS's.", row.OrNone(row.EndpointURL{})),
		"server_id_header": row.Text("Value of the header `X-Consul-IAM-ServerID` that binds a login to these servers, where the auth method asks for one."),
	}
}

func ReadLogin(cfg *agentconfig.ConsulLogin, d Defaults) *Login {
	login := row.Value(cfg)
	supplied := d.Login.Spec()
	if supplied.Enabled {
		supplied.Method = cmp.Or(supplied.Method, mesh.AuthMethod)
	} else {
		supplied = agentconfig.ConsulLogin{}
	}
	if reflect.DeepEqual(login, supplied) {
		return nil
	}
	m := &Login{}
	if login.Method == mesh.AuthMethod {
		login.Method = ""
	}
	row.FromSpec(m, login)
	m.Enabled = &login.Enabled
	if login.Enabled {
		row.Unset(m, d.Login)
	}
	return m
}

// Check warns of a login that is described, by the provider and the resource together, and never switched on.
func (m *Login) Check(found *problem.List) {
	if m == nil || m.Enabled != nil || reflect.DeepEqual(*m, Login{}) {
		return
	}
	at := problem.At("login")
	found.Warn(nil, at.Child("enabled"), "is missing, so the agents do not log in and the rest of %s does nothing: set it to true where Consul's ACLs are on, else to false", at)
}
