// Package devserver is the resource consulecs_dev_server.
package devserver

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/consulecs/terraform-provider-consulecs/internal/devserver"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
	"github.com/consulecs/terraform-provider-consulecs/provider/stack"
)

type server struct{ stack.Stack[model] }

var (
	_ resource.ResourceWithConfigure      = (*server)(nil)
	_ resource.ResourceWithValidateConfig = (*server)(nil)
	_ resource.ResourceWithModifyPlan     = (*server)(nil)
	_ resource.ResourceWithImportState    = (*server)(nil)
	_ resource.ResourceWithIdentity       = (*server)(nil)
	_ list.ListResourceWithConfigure      = (*server)(nil)
)

const typeName = "consulecs_dev_server"

// New is the resource as the provider lists it.
func New() resource.Resource { return newServer() }

// NewList lists the resources that there are.
func NewList() list.ListResource { return newServer() }

func newServer() *server {
	return &server{stack.Stack[model]{Kind: stack.Kind[model]{
		TypeName: typeName,
		Title:    "Dev server",
		NameKey:  "name",
		Cluster:  path.Root("cluster"),
		Owner:    (*model).owner,
		Content: []string{
			"cluster", "name", "datacenter", "dns_name", "image", "log_level", "log_configuration", "pull_credentials_secret_arn", "task", "data_volume", "iam",
		},
		Depends: map[string][]string{
			"task_role_arn":            {"cluster", "name", "iam.path", "iam.name_prefix", "iam.task_role"},
			"task_role_name":           {"cluster", "name", "iam.name_prefix", "iam.task_role"},
			"execution_role_arn":       {"cluster", "name", "iam.path", "iam.name_prefix", "iam.execution_role"},
			"execution_role_name":      {"cluster", "name", "iam.name_prefix", "iam.execution_role"},
			"tags_all":                 {"cluster", "name", "tags", "default_tags"}, // the owner's name is a tag
			"rendered_definition_json": {"cluster", "name", "task", "data_volume", "iam"},
			"ecs_service_arn":          {"cluster", "name", "launch_type"},

			"ca_secret_arn":              {"cluster", "name"},
			"bootstrap_token_secret_arn": {"cluster", "name"},
			"server_secret_arn":          {"cluster", "name"},
			"rendered_secrets_json":      {"cluster", "name", "tags", "default_tags"},
		},
		Places:   row.PlacesOf(model{}),
		Own:      []problem.Path{problem.At("image")}, // the provider's is the agents'
		Problems: (*model).problems,
		Design:   (*model).design,
		Check:    check,
		Parts:    (*model).parts,
		Name:     (*model).computeNames,
		Observe:  (*model).observe,
		Adopt:    func(m, other *model) { m.Network = other.Network },
		Import:   read,
		Identity: stack.ServiceIdentity("server", func(m *model) (nameOrARN, name string) { return row.Value(m.ECSCluster), m.name() }),
	}}}
}

func (m *model) parts() stack.Parts {
	p := stack.Parts{ID: m.id(), Family: m.family(), Outcome: &m.Outcome, Secrets: &m.Outputs, Timeouts: m.Timeouts}
	if m.ECSCluster != nil { // else the model is that of no resource
		p.Service = m.service()
	}
	return p
}

func (m *model) computeNames(_ block.Defaults, _ iamrole.Home, unknown []problem.Path) (computed any, open map[string]bool) {
	service := m.service()
	m.names = names{
		DesiredCount: service.DesiredCount, Host: m.DNSName, ServerName: aws.String(devserver.ServerName(m.datacenter())),
		HTTPSAddress: m.address(devserver.PortHTTPS), GRPCAddress: m.address(devserver.PortGRPC), DNSAddress: m.address(devserver.PortDNS),
		ECSServiceRest: block.RenderECSService(block.Propagated, service),
	}
	named, balanced := row.Affects(unknown, "dns_name"), row.Affects(unknown, "load_balancer")
	return m.names, map[string]bool{
		"host": named, "https_address": named, "grpc_address": named, "dns_address": named,
		"server_name": row.Affects(unknown, "datacenter"), "rendered_ecs_service_json": balanced,
	}
}

// address is a port of the server by its DNS name; nil where it has none.
func (m *model) address(port int) *string {
	if row.Value(m.DNSName) == "" {
		return nil
	}
	return aws.String(fmt.Sprintf("%s:%d", *m.DNSName, port))
}

// observe takes over what the service is. Without one, the outcome has no ARN of it, which the plan sets right.
func (m *model) observe(service *block.Seen) {
	if service == nil {
		return
	}
	is := m.service()
	is.Refresh(*service)
	m.Network, m.DesiredCount = is.Network, is.DesiredCount
	m.attached(is)
	m.ECSServiceRest = block.RenderECSService(service.PropagateTags, is)
}

func check(ctx context.Context, c *deploy.Client, _ *model, want deploy.Design, diags *diag.Diagnostics) {
	c.GivenRole(ctx, want.TaskRole.Given, path.Root("iam").AtName("task_role").AtName("arn"), diags)
	c.CheckExecutionRole(ctx, want.ExecutionRole.Given, diags)
}
