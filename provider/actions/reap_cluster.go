package actions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/action/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/holdings"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/reap"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

type reapCluster struct{ ask }

var (
	_ action.ActionWithConfigure      = (*reapCluster)(nil)
	_ action.ActionWithModifyPlan     = (*reapCluster)(nil)
	_ action.ActionWithValidateConfig = (*reapCluster)(nil)
)

func newReapCluster() action.Action { return &reapCluster{} }

// Metadata implements action.Action.
func (*reapCluster) Metadata(_ context.Context, req action.MetadataRequest, resp *action.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_reap_cluster"
}

type reapModel struct {
	Cluster      *string `tfsdk:"cluster"`
	DryRun       *bool   `tfsdk:"dry_run"`
	Tokens       *bool   `tfsdk:"tokens"`
	AuthMethod   *string `tfsdk:"auth_method"`
	BrakeTasks   *int32  `tfsdk:"brake_tasks"`
	BrakePercent *int32  `tfsdk:"brake_percent"`
}

// Schema implements action.Action.
func (*reapCluster) Schema(_ context.Context, _ action.SchemaRequest, resp *action.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Removes now what dead tasks of an ECS cluster left in Consul: their services and the ACL tokens of their logins. It decides as a controller does, with the same guards. " +
			"What a task left is removed if ECS says that the task has stopped, or if ECS does not know it in two looks that are more than a minute apart; the action then waits for the second one. Of anything else nothing is removed. " +
			"The controller of the ECS cluster may run at the same time. " +
			"Consul is where the provider's block `consul` says, or `CONSUL_HTTP_ADDR`. The token needs `node:read`, `service:write` on the services or `node:write` on the node of the ECS cluster, and `acl:write` for the tokens. " +
			"The credentials of AWS need `ecs:ListTasks` and `ecs:DescribeTasks`.",
		Attributes: map[string]schema.Attribute{
			"cluster":       required(clusterDescription),
			"dry_run":       flag("Say what would be removed, and remove nothing. It does not wait for the second look. Default `false`."),
			"tokens":        flag("Remove the tokens, too. Without ACLs there are none. `false` for a token that has no `acl:write`. Default `true`."),
			"auth_method":   text("Auth method that tasks log in by. Default `" + mesh.AuthMethod + "`."),
			"brake_tasks":   number("So many tasks may be removed at the most that ECS does not know, or `brake_percent`, whichever is more. What is beyond is held back and told. Default 50.", row.AtLeast(0)),
			"brake_percent": number("So many percent of the tasks that Consul knows. Default 25.", row.Between(0, 100)),
		},
	}
}

// The brake's limits where the configuration says nothing: those of a controller.
const (
	defaultBrakeTasks   = 50
	defaultBrakePercent = 25
)

// reapTimeout bounds a run: ten thousand dead tasks take a few minutes.
const reapTimeout = 15 * time.Minute

// ValidateConfig implements action.ActionWithValidateConfig.
func (*reapCluster) ValidateConfig(ctx context.Context, req action.ValidateConfigRequest, resp *action.ValidateConfigResponse) {
	var m reapModel
	unknown, ok := row.Decode(ctx, req.Config, &m, &resp.Diagnostics)
	if !ok {
		return
	}
	var found problem.List
	checkCluster(m.Cluster, &found)
	if m.AuthMethod != nil {
		if row.Value(m.AuthMethod) == "" {
			found.Add(problem.At("auth_method"), "is empty: leave it out for %s", mesh.AuthMethod)
		} else if err := agentconfig.CheckScopeName(*m.AuthMethod); err != nil {
			found.Add(problem.At("auth_method"), "%v", err)
		}
		if m.Tokens != nil && !*m.Tokens {
			found.Add(problem.At("auth_method"), "is set, and tokens is false: leave one of them out")
		}
	}
	report(found, unknown, &resp.Diagnostics)
}

// Invoke implements action.Action.
func (a *reapCluster) Invoke(ctx context.Context, req action.InvokeRequest, resp *action.InvokeResponse) {
	var m reapModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, reapTimeout)
	defer cancel()
	say := progressOf(resp)
	at, ok := a.look(ctx, row.Value(m.Cluster), &resp.Diagnostics)
	if !ok {
		return
	}
	if leader := at.server.Leader(ctx, at.cluster); leader != "" {
		say("A controller looks after the ECS cluster, in task %s, and goes on with it.", leader)
	}
	method := cmp.Or(row.Value(m.AuthMethod), mesh.AuthMethod)
	if m.Tokens != nil && !*m.Tokens {
		method = ""
	}
	engine := func(method string) *reap.Engine {
		return &reap.Engine{
			Catalog: holdings.Catalog{Consul: at.server.Connection(), Node: at.cluster, Method: method}, ECS: a.client.TaskView(at.cluster),
			Limits: reap.Limits{BrakeTasks: numberOr(m.BrakeTasks, defaultBrakeTasks), BrakePercent: numberOr(m.BrakePercent, defaultBrakePercent)},
			DryRun: row.Value(m.DryRun),
		}
	}
	seen, err := reaping{say: say, engine: engine(method)}.run(ctx)
	if errors.Is(err, consul.ErrNoACLs) {
		say("Consul's ACL system is off: there are no tokens.")
		seen, err = reaping{say: say, engine: engine("")}.run(ctx)
	}
	if err != nil {
		resp.Diagnostics.AddError("ECS cluster not reaped", fmt.Sprintf("Of ECS cluster %s: %v%s", at.cluster, err, tokenHint(err, method)))
	}
	seen.tell(&resp.Diagnostics)
}

// tokenHint says how to do without a right.
func tokenHint(err error, method string) string {
	var refusal *consul.Refusal
	if method == "" || !errors.As(err, &refusal) {
		return ""
	}
	return "\nTo remove services alone, set tokens = false."
}

func numberOr(n *int32, otherwise int) int {
	if n == nil {
		return otherwise
	}
	return int(*n)
}

// tell says what was held back, and why.
func (s seen) tell(diags *diag.Diagnostics) {
	if n := len(s.heldBack); n > 0 {
		diags.AddWarning("Removals held back by the brake", fmt.Sprintf(
			"ECS does not know %s, and the brake let no more through: %s. If they are dead, invoke the action again with a larger brake_tasks or brake_percent.", tasks(n), few(s.heldBack)))
	}
	if n := len(s.waiting); n > 0 {
		diags.AddWarning("Tasks waited for", fmt.Sprintf(
			"ECS does not know %s, but not for more than a minute yet: %s. A controller removes them, or the action when it is invoked again.", tasks(n), few(s.waiting)))
	}
	if s.unknown > 0 {
		diags.AddWarning("No answer about tasks", fmt.Sprintf("ECS gave no answer that could be relied on about %s: nothing of theirs was removed.", tasks(s.unknown)))
	}
}
