// Package actions holds the provider's actions: what is done once, when somebody asks for it. Both are about what Consul has of the
// tasks of an ECS cluster. An action enters neither plan nor state.
package actions

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/action/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/remote"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// All are the actions of the provider.
func All() []func() action.Action {
	return []func() action.Action{newReapCluster, newDrainService}
}

// ask is what the actions have in common.
type ask struct{ client *deploy.Client }

// Configure implements action.ActionWithConfigure.
func (a *ask) Configure(_ context.Context, req action.ConfigureRequest, resp *action.ConfigureResponse) {
	a.client = deploy.ClientOf(req.ProviderData, &resp.Diagnostics)
}

// ModifyPlan implements action.ActionWithModifyPlan: whoever has no Consul is told before anything is applied.
func (a *ask) ModifyPlan(_ context.Context, _ action.ModifyPlanRequest, resp *action.ModifyPlanResponse) {
	if a.client != nil && !row.Affects(a.client.Defaults.Unknown, "consul") {
		a.client.Defaults.ConsulClient(&resp.Diagnostics)
	}
}

// look is what Consul has of an ECS cluster. A node that is not there is an error: whoever misspells a name must not be told that there
// is nothing to do.
func (a *ask) look(ctx context.Context, cluster string, diags *diag.Diagnostics) (at place, ok bool) {
	server := a.client.Defaults.ConsulClient(diags)
	home, known := a.client.HomeOrReport(ctx, diags)
	if !known || diags.HasError() {
		return at, false
	}
	at = place{server: server, cluster: block.ECSClusterARN(cluster, home)}
	var err error
	if at.survey, err = server.Survey(ctx, at.cluster); err != nil {
		diags.AddError("Consul not read", err.Error())
		return at, false
	}
	if !at.survey.Registered {
		diags.AddAttributeError(path.Root("cluster"), "ECS cluster not in Consul", fmt.Sprintf(
			"Consul at %s has no node %s. A controller makes it for its ECS cluster: see whether %q is the one that is meant, in the Region %s, and whether consul.token of the provider may read nodes (node:read).",
			server.Address(), at.cluster, cluster, home.Region))
		return at, false
	}
	if at.survey.Partial {
		diags.AddWarning("Consul not read whole", fmt.Sprintf(
			"Consul at %s left out what its token may not read of the node %s, and of that nothing is done. Give the token node:read and service:read: see consul.token of the provider, or CONSUL_HTTP_TOKEN.",
			server.Address(), at.cluster))
	}
	return at, true
}

// place is an ECS cluster as Consul has it.
type place struct {
	server  *remote.Client
	cluster string // ARN
	survey  remote.Survey
}

// progress tells whoever waits what is happening.
type progress func(format string, args ...any)

func progressOf(resp *action.InvokeResponse) progress {
	return func(format string, args ...any) {
		resp.SendProgress(action.InvokeProgressEvent{Message: fmt.Sprintf(format, args...)})
	}
}

// report puts problems at their attributes.
func report(found problem.List, unknown []problem.Path, diags *diag.Diagnostics) {
	for _, p := range found.Without(unknown...) {
		name := p.Path.String()
		diags.AddAttributeError(path.Root(name), "Invalid "+name, name+" "+p.Message()+".")
	}
}

// checkCluster says what is wrong with the name or ARN of an ECS cluster.
func checkCluster(cluster *string, found *problem.List) {
	name := row.Value(cluster)
	if strings.HasPrefix(name, "arn:") && !strings.Contains(name, ":cluster/") {
		found.Add(problem.At("cluster"), "%q is the ARN of something else than an ECS cluster: want arn:<partition>:ecs:<region>:<account>:cluster/<name>", name)
	}
	if name == "" {
		found.Add(problem.At("cluster"), "is empty: want the name or the ARN of an ECS cluster")
	}
}

func text(description string, validators ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: validators}
}

func required(description string) schema.StringAttribute {
	return schema.StringAttribute{Required: true, MarkdownDescription: description}
}

func flag(description string) schema.BoolAttribute {
	return schema.BoolAttribute{Optional: true, MarkdownDescription: description}
}

func number(description string, validators ...validator.Int32) schema.Int32Attribute {
	return schema.Int32Attribute{Optional: true, MarkdownDescription: description, Validators: validators}
}

const clusterDescription = "Name or ARN of the ECS cluster."
