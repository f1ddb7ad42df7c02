package meshtask

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/meshcontroller"
	"github.com/consulecs/terraform-provider-consulecs/provider/participation"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
	"github.com/consulecs/terraform-provider-consulecs/provider/stack"
)

const controllerBlock = "controller"

// controllerThere is unknown where it is not known whether there is a controller block.
const controllerThere = "controller.acls"

func controllerRow() schema.SingleNestedBlock {
	return meshcontroller.BlockRow(controllerBlock, "The controller of the ECS cluster that `ecs_service` runs in. Where there is none, it is made before the task, as the ECS service `"+participation.Name+"`, and shared by all "+
		"mesh tasks with this block, also those of other configurations; the last of them to go takes it down. Where there is one, whoever made it, the task takes part in it, and nothing is made. The settings count "+
		"when the shared controller is made, and when they change; where it has others, the plan warns. A `consulecs_controller`, or the incumbent's controller, is never touched.")
}

// controllerContent are the attributes, of the resource and of the provider, that the shared controller follows from.
var controllerContent = []string{
	controllerBlock, "ecs_service", "consul_servers", "login", "service.*.partition", "sidecars.image", "sidecars.log_configuration", "sidecars.pull_credentials_secret_arn",
	"default_tags", "iam_role_path", "log_configuration",
}

func (m *model) asksForController(unknown []problem.Path) bool {
	return m.Controller != nil || row.Affects(unknown, controllerBlock)
}

// controllerSettings are what the block says with what it leaves out, and the defaults beneath.
func (m *model) controllerSettings(region string, d block.Defaults) (*meshcontroller.Settings, block.Defaults) {
	d.Servers, d.Login = row.Overlay(d.Servers, m.ConsulServers), row.Overlay(d.Login, m.Login)
	settings := m.Controller.Within(row.Value(m.ECSService).Network)
	if m.Sidecars != nil {
		d.Image, d.LogConfiguration = cmp.Or(row.Value(m.Sidecars.Image), d.Image), cmp.Or(m.Sidecars.LogConfiguration, d.LogConfiguration)
		settings.PullCredentialsSecretARN = cmp.Or(settings.PullCredentialsSecretARN, m.Sidecars.PullCredentialsSecretARN)
	}
	if service := m.service(); service != nil {
		settings.Partition = cmp.Or(settings.Partition, service.Partition)
	}
	roles := row.Value(settings.IAM)
	if roles.NamePrefix == nil { // clusters of several Regions may have one name, and roles belong to all of them
		roles.NamePrefix = aws.String(region + "-")
	}
	settings.IAM = &roles
	return settings, d
}

// controllerPlace is where the shared controller of an ECS cluster stands.
func controllerPlace(ecsCluster string, home iamrole.Home) meshcontroller.Place {
	return meshcontroller.Place{ECSCluster: &ecsCluster, Name: participation.Name, Owner: participation.Owner(ecsCluster, home)}
}

// wish is what the mesh task asks of the shared controller.
func (m *model) wish(d block.Defaults, home iamrole.Home) (participation.Wish, error) {
	settings, d := m.controllerSettings(home.Region, d)
	design, err := settings.Design(controllerPlace(m.controllersECSCluster(), home), d, home, false)
	if err != nil {
		return participation.Wish{}, err
	}
	hash, err := meshcontroller.Hash(design)
	if err != nil {
		return participation.Wish{}, err
	}
	return participation.NewWish(design, hash), nil
}

// controllersECSCluster is the one whose controller is meant; "" if the mesh task takes part in none. After others deleted its service,
// the controller's tells.
func (m *model) controllersECSCluster() string {
	switch {
	case m.Controller == nil:
		return ""
	case m.ECSService != nil:
		return row.Value(m.ECSService.Cluster)
	default:
		return participation.ECSClusterOf(row.Value(m.ControllerServiceARN))
	}
}

func sharedController() *stack.Companion[model] {
	return &stack.Companion[model]{Plan: planController, Look: lookAtController, Apply: applyWithController, Leave: leaveController}
}

// planController finds out what is known of the controller. Which one it is stays as it was read: another one may be there when the plan
// is applied.
func planController(ctx context.Context, c *deploy.Client, m, state *model, unknown []problem.Path, diags *diag.Diagnostics) {
	m.ControllerServiceARN, m.ControllerHash = nil, nil
	ecsCluster := m.controllersECSCluster()
	home, ok := c.HomeOrReport(ctx, diags)
	if !ok || ecsCluster == "" {
		return
	}
	if block.EcsClusterName(state.controllersECSCluster()) == block.EcsClusterName(ecsCluster) {
		m.ControllerServiceARN = state.ControllerServiceARN
	}
	if row.Affects(unknown, controllerContent...) || diags.HasError() {
		return
	}
	at := path.Root(controllerBlock)
	w, err := m.wish(c.Defaults, home)
	if err != nil {
		diags.AddAttributeError(at, "Controller cannot be built", err.Error())
		return
	}
	m.ControllerHash = &w.Hash
	m.Controller.CheckECSClusters(home, at.AtName("ecs_clusters"), diags)
	c.GivenRole(ctx, w.Design.TaskRole.Given, at.AtName("iam").AtName("task_role").AtName("arn"), diags)
	c.GivenRole(ctx, w.Design.ExecutionRole.Given, at.AtName("iam").AtName("execution_role").AtName("arn"), diags)
	share := participation.Of(c, ecsCluster, home)
	found, err := share.Controller(ctx, row.Value(state.ControllerServiceARN))
	switch {
	case awsapi.IsAccessDenied(err): // left to the apply
	case err != nil:
		diags.AddAttributeError(at, "Controller not looked up", err.Error())
	case share.Differs(found, w.Hash) && (state.Controller == nil || row.Value(state.ControllerHash) == w.Hash):
		diags.AddAttributeWarning(at, "Controller has other settings", fmt.Sprintf(
			"The controller %s, which mesh tasks share, has other settings than those of this block, and keeps them. To have it as this block says, write the same block in all mesh tasks of the ECS cluster: it is changed by the mesh task whose block changes.",
			row.Value(participation.ARN(found))))
	}
}

func lookAtController(ctx context.Context, c *deploy.Client, m *model) error {
	if m.Controller == nil || m.ECSService == nil {
		return nil
	}
	home, err := c.Home(ctx)
	if err != nil {
		return err
	}
	found, err := participation.Of(c, m.controllersECSCluster(), home).Controller(ctx, row.Value(m.ControllerServiceARN))
	if err == nil {
		m.ControllerServiceARN = participation.ARN(found)
	}
	if awsapi.IsAccessDenied(err) {
		return nil
	}
	return err
}

// applyWithController makes the mesh task's own beside the controller. One that the mesh task no longer takes part in is left last.
func applyWithController(ctx context.Context, c *deploy.Client, m, state *model, act func(context.Context) error) error {
	was, is := state.controllersECSCluster(), m.controllersECSCluster()
	home, err := c.Home(ctx)
	switch {
	case err != nil:
		return err
	case is == "":
		err = act(ctx)
	default:
		err = m.join(ctx, c, state, home, act)
	}
	if err != nil || was == "" || block.EcsClusterName(was) == block.EcsClusterName(is) {
		return err
	}
	return leaveController(ctx, c, state)
}

// join takes part in the controller of the ECS cluster. What the plan has promised of it is kept: the next one sees what is otherwise.
func (m *model) join(ctx context.Context, c *deploy.Client, state *model, home iamrole.Home, act func(context.Context) error) error {
	w, err := m.wish(c.Defaults, home)
	if err != nil {
		return err
	}
	if state.Controller != nil && block.EcsClusterName(state.controllersECSCluster()) == block.EcsClusterName(m.controllersECSCluster()) {
		w.Changed = row.Value(state.ControllerHash) != w.Hash || !reflect.DeepEqual(m.controllersNetwork(), state.controllersNetwork())
		if former, err := state.wish(c.Defaults, home); err == nil {
			w.Former = former.Design
		}
	}
	found, err := participation.Of(c, m.controllersECSCluster(), home).Join(ctx, w, act)
	m.ControllerHash = &w.Hash
	if m.ControllerServiceARN == nil {
		m.ControllerServiceARN = participation.ARN(found)
	}
	return err
}

func (m *model) controllersNetwork() block.Network {
	return m.Controller.Within(row.Value(m.ECSService).Network).Network
}

// leaveController is for a mesh task that no longer takes part.
func leaveController(ctx context.Context, c *deploy.Client, m *model) error {
	ecsCluster := m.controllersECSCluster()
	if ecsCluster == "" {
		return nil
	}
	home, err := c.Home(ctx)
	if err != nil {
		return err
	}
	w, err := m.wish(c.Defaults, home)
	if err != nil { // as where the provider no longer says what the block leaves out: names are enough to remove what there is
		at := controllerPlace(ecsCluster, home)
		w.Design = deploy.Design{Family: at.Family(), Owner: at.Owner, Service: m.Controller.Service(at)}
	}
	return participation.Of(c, ecsCluster, home).Leave(ctx, w)
}

var controllerPlaces = row.PlacesOf(meshcontroller.Settings{})

// inherited are the attributes of the block that the mesh task supplies, by where it says them.
var inherited = map[string]problem.Path{
	"consul_servers": problem.At("consul_servers"), "login": problem.At("login"),
	"image": problem.At("sidecars", "image"), "log_configuration": problem.At("sidecars", "log_configuration"),
}

// controllerProblems is what is wrong with the block, at its attributes. What is said of the task's own settings already is not
// repeated.
func (m *model) controllerProblems(d block.Defaults, said problem.List) problem.List {
	var found problem.List
	switch {
	case m.Controller == nil:
		return nil
	case m.ECSService == nil:
		service := problem.At("ecs_service")
		found.AddWith([]problem.Path{service}, problem.At(controllerBlock), "needs %s, which says in what ECS cluster: add it, or leave the block out and write a consulecs_controller", service)
		return found
	}
	settings, d := m.controllerSettings("", d)
	family := controllerPlace(m.controllersECSCluster(), iamrole.Home{}).Family()
	for _, p := range settings.Problems(family, d) {
		p = p.In(func(at problem.Path) problem.Path {
			return problem.At(controllerBlock).Child(controllerPlaces.Attribute(at)...)
		})
		if from, ok := m.inheritedFrom(p.Path); ok {
			p.With = append(p.With, from)
			if slices.ContainsFunc(said, func(other problem.Problem) bool { return places.Attribute(other.Path).Within(from) }) {
				continue
			}
		}
		found = append(found, p)
	}
	return found
}

// inheritedFrom is where the mesh task may say what the block does not at one of its places.
func (m *model) inheritedFrom(at problem.Path) (problem.Path, bool) {
	if len(at) < 2 || row.Says(m.Controller, at[1:]) {
		return nil, false
	}
	name, _ := at[1].(string)
	from, ok := inherited[name]
	return from.Child(at[2:]...), ok
}
