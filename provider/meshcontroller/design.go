package meshcontroller

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/eventqueue"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// RolePath is where a controller's roles lie: outside the path whose roles may log in as services.
const RolePath = "/"

// Place is where a controller stands, under which name, and whose it is.
type Place struct {
	ECSCluster *string // name or ARN
	Name       string  // of the ECS service
	Owner      ownership.Owner
	Adopt      bool // take over what others made
	Wait       bool // until it runs
}

// Family also has the name of the ECS cluster: controllers of one name on two clusters share neither revisions nor roles.
func (p Place) Family() string { return p.Name + "-" + block.EcsClusterName(row.Value(p.ECSCluster)) }

// Design works out the controller that the settings ask for.
func (s *Settings) Design(at Place, d block.Defaults, home iamrole.Home, draft bool) (deploy.Design, error) {
	spec := s.spec(at.Family(), d)
	own := block.ECSClusterARN(row.Value(at.ECSCluster), home)
	spec.Controller.ECSClusters = slices.DeleteFunc(spec.Controller.ECSClusters, func(arn string) bool { return arn == own })
	all := append([]string{own}, spec.Controller.ECSClusters...)
	want := deploy.Design{
		Family: spec.Family, Owner: at.Owner, Adopt: at.Adopt,
		TaskRole:      deploy.RoleDesign{Given: row.Value(s.IAM.TaskRoleOrNone().ARN)},
		ExecutionRole: deploy.RoleDesign{Given: row.Value(s.IAM.ExecutionRoleOrNone().ARN)},
		Service:       s.Service(at),
	}
	role := iamrole.ControllerSpec{
		Home: home, Settings: s.IAM.Settings(s.IAM.TaskRoleOrNone(), RolePath, spec.Tags), Family: spec.Family, ECSClusterARNs: all,
		LogsIn: spec.LogsIn, FirstTokenSecretARN: spec.Controller.FirstTokenSecretARN, KMSKeyARN: row.Value(s.FirstTokenKMSKeyARN),
		Exec: row.Value(s.EnableExecuteCommand),
	}
	if row.Value(cmp.Or(row.Value(s.Events).Enabled, aws.Bool(true))) {
		design := eventqueue.Of(eventqueue.Spec{Home: home, Family: spec.Family, ECSClusterARNs: all, Tags: spec.Tags})
		want.Events, role.EventQueueARN = &design, design.Queue.ARN
		var err error
		if spec.Controller.EventQueueURL, err = awsapi.QueueURL(home.Region, home.Account, design.Queue.Name); err != nil {
			return deploy.Design{}, err
		}
	}
	if want.TaskRole.Given == "" {
		var err error
		if want.TaskRole.Role, err = iamrole.Controller(role); err != nil {
			return deploy.Design{}, err
		}
	}
	spec.TaskRoleARN = want.TaskRole.ARN()
	build := taskdef.BuildController
	if draft {
		build = taskdef.DraftController
	}
	definition, err := build(spec)
	if err != nil {
		return deploy.Design{}, err
	}
	err = want.Finish(definition, s.IAM, RolePath, spec.Tags, home, draft)
	return want, err
}

// defaultDesiredCount is how many controllers there are where nobody says so.
const defaultDesiredCount = 1

// Service is the ECS service. A controller that is alone has none beside it while it is replaced, since it needs no rival; of several
// none goes before another one is there, so that there is always one to lead.
func (s *Settings) Service(at Place) *block.ECSService {
	count := cmp.Or(s.DesiredCount, aws.Int32(defaultDesiredCount))
	least, most := int32(0), int32(100)
	if *count > 1 {
		least, most = 100, 200
	}
	return &block.ECSService{
		Cluster: at.ECSCluster, Name: &at.Name, DesiredCount: count, Network: s.Network,
		EnableExecuteCommand: s.EnableExecuteCommand, WaitForSteadyState: &at.Wait,
		Deployment: &block.Deployment{MinimumHealthyPercent: &least, MaximumPercent: &most},
	}
}

// CheckECSClusters wants the further ECS clusters, named at a place of the configuration, to be where the controller is: it hears of no
// others, and its role sees none.
func (s *Settings) CheckECSClusters(home iamrole.Home, at path.Path, diags *diag.Diagnostics) {
	here := block.ECSClusterARN("", home)
	for _, arn := range s.ECSClusters {
		if !strings.HasPrefix(arn, here) {
			diags.AddAttributeError(at, "ECS cluster elsewhere",
				fmt.Sprintf("%s has %s, want ECS clusters of the controller's own account and Region, %s<name>: give that one a controller of its own.", at, arn, here))
		}
	}
}
