package controller

import (
	"cmp"
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/events"
	"github.com/consulecs/terraform-provider-consulecs/provider/meshcontroller"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// read is what an import makes of what is there, by cluster/service or the ARN of the service.
func read(ctx context.Context, c *deploy.Client, text string) (*model, error) {
	id, err := c.ReadImportID(ctx, text)
	if err != nil {
		return nil, err
	}
	if id.ECSService == "" {
		return nil, fmt.Errorf("the ID is %q, want cluster/service or the ARN of the ECS service", text)
	}
	service, found, err := c.ReadService(ctx, id)
	if err != nil {
		return nil, err
	}
	m := &model{ECSCluster: service.Cluster, Name: &id.ECSService, WaitForSteadyState: aws.Bool(true), Timeouts: row.NoTimeouts()}
	m.Network, m.EnableExecuteCommand, m.DesiredCount = service.Network, service.EnableExecuteCommand, service.DesiredCount
	revision, err := c.DescribeRevision(ctx, aws.ToString(found.TaskDefinition))
	if err != nil {
		return nil, err
	}
	owner := m.owner(c.Region).Name
	m.OwnerID = cmp.Or(ownership.IDOf(owner, revision.Tags), ownership.IDOf(owner, awsapi.TagMap(found.Tags)))
	if err := importControllerDefinition(ctx, c, m, revision); err != nil {
		return nil, err
	}
	return m, importControllerOutcome(ctx, c, m)
}

func importControllerDefinition(ctx context.Context, c *deploy.Client, m *model, from *deploy.Revision) error {
	d := from.Definition
	err := m.Settings.Read(d, from.Tags, c.Defaults)
	if err != nil {
		return err
	}
	if m.IAM, err = c.ReadIAM(ctx, d, m.owner(c.Region), meshcontroller.RolePath); err != nil || m.FirstTokenSecretARN == nil || m.IAM.TaskRoleOrNone().ARN != nil {
		return err
	}
	keys, err := c.ReadKeys(ctx, aws.ToString(d.TaskRoleArn))
	if len(keys) > 0 {
		m.FirstTokenKMSKeyARN = &keys[0]
	}
	return err
}

func importControllerOutcome(ctx context.Context, c *deploy.Client, m *model) error {
	home, err := c.Home(ctx)
	if err != nil {
		return err
	}
	want, err := m.design(c.Defaults, home, false)
	if err != nil {
		return err
	}
	decided, err := want.Decided()
	if err != nil {
		return err
	}
	if m.Outputs, err = events.Decided(want.Events, want.Owner); err != nil {
		return err
	}
	m.computeNames(c.Defaults, home, nil)
	m.Outcome = decided
	id := m.id()
	m.ID = &id
	return nil
}
