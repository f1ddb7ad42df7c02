package actions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/action/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/remote"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskverdict"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

type drainService struct{ ask }

var (
	_ action.ActionWithConfigure      = (*drainService)(nil)
	_ action.ActionWithModifyPlan     = (*drainService)(nil)
	_ action.ActionWithValidateConfig = (*drainService)(nil)
)

func newDrainService() action.Action { return &drainService{} }

// Metadata implements action.Action.
func (*drainService) Metadata(_ context.Context, req action.MetadataRequest, resp *action.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_drain_service"
}

type drainModel struct {
	Cluster   *string `tfsdk:"cluster"`
	Service   *string `tfsdk:"service"`
	Namespace *string `tfsdk:"namespace"`
	Task      *string `tfsdk:"task"`
	Reason    *string `tfsdk:"reason"`
	Restore   *bool   `tfsdk:"restore"`
	DryRun    *bool   `tfsdk:"dry_run"`
}

// Schema implements action.Action.
func (*drainService) Schema(_ context.Context, _ action.SchemaRequest, resp *action.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Takes the tasks of a service, or one task, out of the mesh's traffic while they run, and puts them back. " +
			"Each instance and its proxy get a critical check in Consul, that of Consul's maintenance mode. The proxies of callers send new requests to other instances, and Consul's DNS leaves the task out; requests that are under way are finished. " +
			"The task keeps running, and its agents leave the check alone. ECS does not know of it and replaces nothing. " +
			"The check stays until the task ends, or until the action takes it away with `restore = true`. A task that starts later takes traffic: to take a service out for good, lower its `desired_count`. " +
			"Consul is where the provider's block `consul` says, or `CONSUL_HTTP_ADDR`. The token needs `node:read`, and `service:write` on the service and on its proxies, `<service>-sidecar-proxy`.",
		Attributes: map[string]schema.Attribute{
			"cluster":   required(clusterDescription),
			"service":   text("Name of the Consul service whose instances are meant. This or `task` has to be set; with both, the task's instance of this service."),
			"namespace": text("Namespace of the service, of Consul Enterprise. Default: every namespace."),
			"task":      text("ID or ARN of the one task that is meant. Default: all tasks of the service."),
			"reason":    text("Why, for people: it stands in the notes of the check. Default: that this action did it."),
			"restore":   flag("Put the instances back into traffic. Default `false`."),
			"dry_run":   flag("Say what would be done, and do nothing. Default `false`."),
		},
	}
}

const (
	drainTimeout  = 5 * time.Minute
	defaultReason = "drained by the action consulecs_drain_service of Terraform"
)

// ValidateConfig implements action.ActionWithValidateConfig.
func (*drainService) ValidateConfig(ctx context.Context, req action.ValidateConfigRequest, resp *action.ValidateConfigResponse) {
	var m drainModel
	unknown, ok := row.Decode(ctx, req.Config, &m, &resp.Diagnostics)
	if !ok {
		return
	}
	report(m.problems(), unknown, &resp.Diagnostics)
}

func (m drainModel) problems() (found problem.List) {
	checkCluster(m.Cluster, &found)
	if m.Service == nil && m.Task == nil {
		found.AddWith([]problem.Path{problem.At("task")}, problem.At("service"), "is not set, nor is task: say whose instances are meant")
	}
	if m.Service != nil {
		if err := mesh.CheckServiceName(*m.Service); err != nil {
			found.Add(problem.At("service"), "is no name of a service: %v", err)
		}
	}
	if m.Task != nil {
		if _, err := taskverdict.ParseID(*m.Task); err != nil {
			found.Add(problem.At("task"), "is wrong: %v", err)
		}
	}
	if err := agentconfig.CheckScopeName(row.Value(m.Namespace)); err != nil {
		found.Add(problem.At("namespace"), "%v", err)
	}
	if m.Reason != nil && row.Value(m.Restore) {
		found.AddWith([]problem.Path{problem.At("restore")}, problem.At("reason"), "is for instances that are drained: leave it out where restore is true")
	}
	return found
}

// Invoke implements action.Action.
func (a *drainService) Invoke(ctx context.Context, req action.InvokeRequest, resp *action.InvokeResponse) {
	var m drainModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	at, ok := a.look(ctx, row.Value(m.Cluster), &resp.Diagnostics)
	if !ok {
		return
	}
	meant := m.choose(at.survey.Services)
	if len(meant) == 0 {
		resp.Diagnostics.AddAttributeError(path.Root(m.named()), "No such instance in Consul", fmt.Sprintf(
			"Consul at %s has no instance of %s on the node %s.", at.server.Address(), m.whose(), at.cluster))
		return
	}
	m.turn(ctx, at, meant, progressOf(resp), &resp.Diagnostics)
	if !row.Value(m.Restore) {
		m.warn(at.survey.Services, meant, &resp.Diagnostics)
	}
}

// named is the attribute that says the most of who is meant.
func (m drainModel) named() string {
	if m.Task != nil {
		return "task"
	}
	return "service"
}

func (m drainModel) whose() string {
	switch {
	case m.Service == nil:
		return "task " + *m.Task
	case m.Task == nil:
		return "service " + *m.Service + " that is a task's"
	}
	return "service " + *m.Service + " that is of task " + *m.Task
}

// instance is a task's part in a service: itself and its proxy.
type instance struct {
	task     string
	services []remote.Service
}

// drained reports whether all of it is out of traffic, kept out by us.
func (i instance) drained() bool {
	return !slices.ContainsFunc(i.services, func(s remote.Service) bool { return !s.InMaintenance() })
}

// untouched reports whether none of it is.
func (i instance) untouched() bool {
	return !slices.ContainsFunc(i.services, remote.Service.InMaintenance)
}

func (i instance) String() string {
	var ids []string
	for _, s := range i.services {
		ids = append(ids, s.ID)
	}
	return "task " + i.task + fmt.Sprintf(" %v", ids)
}

// choose are the instances that are meant, by task. What is no task's is nobody's here.
func (m drainModel) choose(all []remote.Service) []instance {
	only, _ := taskverdict.ParseID(row.Value(m.Task)) // "" for all
	byTask := map[string][]remote.Service{}
	for _, s := range all {
		switch {
		case s.TaskID == "", only != "" && s.TaskID != only:
		case m.Service != nil && s.Name != *m.Service && s.Name != mesh.ProxyName(*m.Service):
		case m.Namespace != nil && s.Namespace != *m.Namespace:
		default:
			byTask[s.TaskID] = append(byTask[s.TaskID], s)
		}
	}
	var chosen []instance
	for _, task := range slices.Sorted(maps.Keys(byTask)) {
		slices.SortFunc(byTask[task], func(a, b remote.Service) int { return cmp.Compare(a.ID, b.ID) })
		chosen = append(chosen, instance{task, byTask[task]})
	}
	return chosen
}

// turn drains the instances, or restores them. One that fails does not keep the others, and one whose task has ended meanwhile has not
// failed.
func (m drainModel) turn(ctx context.Context, at place, meant []instance, say progress, diags *diag.Diagnostics) {
	done, did := 0, "taken out of traffic"
	if row.Value(m.Restore) {
		did = "put back into traffic"
	}
	for _, one := range meant {
		if row.Value(m.Restore) && one.untouched() || !row.Value(m.Restore) && one.drained() && m.Reason == nil {
			say("Left as it is, already %s: %v.", did, one)
			continue
		}
		if row.Value(m.DryRun) {
			say("Would be %s: %v.", did, one)
			continue
		}
		var err error
		if row.Value(m.Restore) {
			err = at.server.Resume(ctx, at.cluster, one.services)
		} else {
			err = at.server.Maintain(ctx, at.cluster, one.services, cmp.Or(row.Value(m.Reason), defaultReason))
		}
		switch {
		case errors.Is(err, remote.ErrGone):
			say("Has ended meanwhile: %v.", one)
		case err != nil:
			diags.AddError("Instance not "+did, err.Error())
		default:
			done++
			say("Is %s: %v.", did, one)
		}
	}
	say("%s of %d %s.", tasks(done), len(meant), did)
}

// warn says where no instance of a service is left to take traffic.
func (m drainModel) warn(all []remote.Service, meant []instance, diags *diag.Diagnostics) {
	type scoped struct{ namespace, name string }
	drained, left := map[string]bool{}, map[scoped]int{}
	for _, one := range meant {
		for _, s := range one.services {
			drained[s.ID], left[scoped{s.Namespace, s.Name}] = true, 0
		}
	}
	for _, s := range all {
		if _, is := left[scoped{s.Namespace, s.Name}]; is && !drained[s.ID] && s.Status() == remote.Passing {
			left[scoped{s.Namespace, s.Name}]++
		}
	}
	for s := range left {
		if _, isProxy := left[scoped{s.namespace, mesh.ProxyName(s.name)}]; isProxy && left[s] == 0 {
			diags.AddAttributeWarning(path.Root(m.named()), "No instance takes traffic", fmt.Sprintf(
				"In this ECS cluster no other instance of service %s is passing. Unless it runs elsewhere or its service-resolver fails over, its callers get errors until restore = true.", s.name))
		}
	}
}
