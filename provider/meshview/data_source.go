// Package meshview is the data source consulecs_mesh: what ECS and Consul have of the mesh in an ECS cluster, and where they differ.
package meshview

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/remote"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/reap"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskverdict"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/occupancy"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

type dataSource struct{ client *deploy.Client }

var _ datasource.DataSourceWithConfigure = (*dataSource)(nil)

// New is the data source as the provider lists it.
func New() datasource.DataSource { return &dataSource{} }

// Metadata implements datasource.DataSource.
func (*dataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "consulecs_mesh"
}

// Configure implements datasource.DataSourceWithConfigure.
func (d *dataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.client = deploy.ClientOf(req.ProviderData, &resp.Diagnostics)
}

type model struct {
	Cluster       *string   `tfsdk:"cluster"`
	ClusterARN    *string   `tfsdk:"cluster_arn"`
	Tasks         []task    `tfsdk:"tasks"`
	ConsulAddress *string   `tfsdk:"consul_address"`
	Registered    *bool     `tfsdk:"node_registered"`
	Services      []service `tfsdk:"services"`
	Orphans       []orphan  `tfsdk:"orphans"`
}

type task struct {
	ID              string `tfsdk:"id"`
	ARN             string `tfsdk:"arn"`
	DefinitionARN   string `tfsdk:"task_definition_arn"`
	ServiceName     string `tfsdk:"service_name"`
	Status          string `tfsdk:"status"`
	Health          string `tfsdk:"health"`
	InConsul        *bool  `tfsdk:"registered"`
	ConsulPartition string `tfsdk:"partition"`
	ConsulNamespace string `tfsdk:"namespace"`
}

type service struct {
	ID        string            `tfsdk:"id"`
	Name      string            `tfsdk:"name"`
	Namespace string            `tfsdk:"namespace"`
	TaskID    *string           `tfsdk:"task_id"`
	Status    string            `tfsdk:"status"`
	Checks    map[string]string `tfsdk:"checks"`
}

type orphan struct {
	TaskID     string   `tfsdk:"task_id"`
	ECSSays    string   `tfsdk:"ecs_says"`
	ServiceIDs []string `tfsdk:"service_ids"`
}

// readTimeout bounds what a plan waits for Consul.
const readTimeout = time.Minute

// Read implements datasource.DataSource. Consul is read before ECS: what it has then was born before ECS is asked, so that a task which
// ECS does not know is not one that it does not know yet.
func (d *dataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	d.client.Defaults.RefuseUnknown(&resp.Diagnostics, "consul")
	home, ok := d.client.HomeOrReport(ctx, &resp.Diagnostics)
	if !ok || resp.Diagnostics.HasError() {
		return
	}
	arn := block.ECSClusterARN(row.Value(m.Cluster), home)
	m.ClusterARN = &arn
	survey := d.survey(ctx, &m, &resp.Diagnostics)
	tasks, err := d.client.MeshTasks(ctx, occupancy.Mesh{ECSClusters: []string{arn}})
	if err != nil {
		resp.Diagnostics.AddAttributeError(path.Root("cluster"), "Tasks not listed", err.Error())
	}
	if resp.Diagnostics.HasError() {
		return
	}
	m.Tasks = tasksOf(tasks)
	if survey != nil {
		d.compare(ctx, &m, *survey, &resp.Diagnostics)
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
}

// survey is what Consul has; nil where the provider asks none.
func (d *dataSource) survey(ctx context.Context, m *model, diags *diag.Diagnostics) *remote.Survey {
	if d.client.Defaults.Consul == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	client, err := remote.New(d.client.Defaults.Consul.Server())
	if err != nil {
		diags.AddError("Consul not read", err.Error())
		return nil
	}
	m.ConsulAddress = aws.String(client.Address())
	survey, err := client.Survey(ctx, *m.ClusterARN)
	if err != nil {
		diags.AddError("Consul not read", err.Error())
		return nil
	}
	if survey.Partial {
		diags.AddWarning("Consul not read whole", fmt.Sprintf(
			"Consul at %s left out what its token may not read of the node %s. Give the token node:read and service:read: see consul.token of the provider, or CONSUL_HTTP_TOKEN.", client.Address(), *m.ClusterARN))
	}
	return &survey
}

// compare tells what Consul has, and which tasks of it ECS does not have.
func (d *dataSource) compare(ctx context.Context, m *model, survey remote.Survey, diags *diag.Diagnostics) {
	m.Registered = &survey.Registered
	m.Services, m.Orphans = servicesOf(survey), []orphan{}
	held := map[string][]string{} // service IDs by task
	for _, s := range survey.Services {
		held[s.TaskID] = append(held[s.TaskID], s.ID)
	}
	for i, t := range m.Tasks {
		m.Tasks[i].InConsul = aws.Bool(held[t.ID] != nil)
		delete(held, t.ID)
	}
	maps.DeleteFunc(held, func(id string, _ []string) bool { return !reap.IsTaskID(id) }) // no task's: an operator's
	verdicts, err := d.client.Verdicts(ctx, *m.ClusterARN, slices.Sorted(maps.Keys(held)))
	if err != nil {
		diags.AddAttributeError(path.Root("cluster"), "Tasks not described", err.Error())
	}
	m.Orphans = orphansOf(held, verdicts)
}

// orphansOf are the tasks that ECS calls stopped, or does not know. Of what it gives no answer about, nothing is said.
func orphansOf(held map[string][]string, verdicts map[string]reap.Verdict) []orphan {
	all := []orphan{}
	for _, id := range slices.Sorted(maps.Keys(held)) {
		if v := verdicts[id]; v == reap.Stopped || v == reap.Missing {
			all = append(all, orphan{id, v.String(), slices.Sorted(slices.Values(held[id]))})
		}
	}
	return all
}

func servicesOf(survey remote.Survey) []service {
	all := []service{}
	for _, s := range survey.Services {
		one := service{ID: s.ID, Name: s.Name, Namespace: s.Namespace, Status: s.Status(), Checks: map[string]string{}}
		if s.TaskID != "" {
			one.TaskID = aws.String(s.TaskID)
		}
		maps.Copy(one.Checks, s.Checks)
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b service) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Namespace, b.Namespace)) })
	return all
}

func tasksOf(found []ecstypes.Task) []task {
	all := []task{}
	for _, t := range found {
		tags := awsapi.TagMap(t.Tags)
		all = append(all, task{
			ID: taskverdict.ID(aws.ToString(t.TaskArn)), ARN: aws.ToString(t.TaskArn), DefinitionARN: aws.ToString(t.TaskDefinitionArn),
			ServiceName: tags[mesh.TaskTagServiceName], ConsulPartition: tags[mesh.TaskTagPartition], ConsulNamespace: tags[mesh.TaskTagNamespace],
			Status: aws.ToString(t.LastStatus), Health: string(t.HealthStatus),
		})
	}
	slices.SortFunc(all, func(a, b task) int { return cmp.Compare(a.ARN, b.ARN) })
	return all
}
