package controller

import (
	"cmp"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/events"
	"github.com/consulecs/terraform-provider-consulecs/provider/meshcontroller"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

type model struct {
	ECSCluster         *string        `tfsdk:"cluster"`
	Name               *string        `tfsdk:"name" at:"family"`
	WaitForSteadyState *bool          `tfsdk:"wait_for_steady_state"`
	AdoptExisting      *bool          `tfsdk:"adopt_existing"`
	ForceDestroy       *bool          `tfsdk:"force_destroy"`
	Timeouts           timeouts.Value `tfsdk:"timeouts"`
	meshcontroller.Settings
	ECSServiceRest *string `tfsdk:"rendered_ecs_service_json" at:"-"`
	deploy.Outcome `at:"-"`
	events.Outputs `at:"-"`
}

func (m *model) name() string {
	return cmp.Or(row.Value(m.Name), taskdef.DefaultControllerFamily)
}

func (m *model) owner(region string) ownership.Owner {
	return ownership.Owner{Name: ownership.Name(typeName, region, m.id()), ID: row.Value(m.OwnerID)}
}

func (m *model) id() string { return block.EcsClusterName(row.Value(m.ECSCluster)) + "/" + m.name() }

func (m *model) place(region string) meshcontroller.Place {
	return meshcontroller.Place{
		ECSCluster: m.ECSCluster, Name: m.name(), Owner: m.owner(region), Adopt: row.Value(m.AdoptExisting),
		Wait: m.WaitForSteadyState == nil || *m.WaitForSteadyState,
	}
}

func (m *model) family() string { return m.place("").Family() }

func (m *model) service() *block.ECSService { return m.Settings.Service(m.place("")) }

// problems is what is wrong with the controller, at places of the Spec.
func (m *model) problems(d block.Defaults) problem.List {
	found := m.Settings.Problems(m.family(), d)
	block.CheckECSCluster(row.Value(m.ECSCluster), problem.At("cluster"), &found)
	return found
}

// design works out a controller.
func (m *model) design(d block.Defaults, home iamrole.Home, draft bool) (deploy.Design, error) {
	return m.Settings.Design(m.place(home.Region), d, home, draft)
}
