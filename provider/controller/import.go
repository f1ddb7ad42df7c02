package controller

import (
	"cmp"
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/meshcontroller"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
	"github.com/consulecs/terraform-provider-consulecs/provider/secrets"
)

// read is what an import makes of what is there, by cluster/service or the ARN of the service.
func read(ctx context.Context, c *deploy.Client, text string) (*model, error) {
	is, err := c.ReadRunning(ctx, text)
	if err != nil {
		return nil, err
	}
	m := &model{ECSCluster: is.Cluster, Name: is.Name, WaitForSteadyState: aws.Bool(true), Timeouts: row.NoTimeouts()}
	m.Network, m.EnableExecuteCommand, m.DesiredCount = is.Network, is.EnableExecuteCommand, is.DesiredCount
	owner := m.owner(c.Region).Name
	m.OwnerID = cmp.Or(ownership.IDOf(owner, is.Revision.Tags), ownership.IDOf(owner, is.Tags))
	if err := importControllerDefinition(ctx, c, m, is.Revision); err != nil {
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
	home, is, err := c.Imported(ctx, m.design, secrets.Outputs{})
	if err != nil {
		return err
	}
	m.computeNames(c.Defaults, home, nil)
	m.Outcome, m.Outputs = is.Outcome, is.Events
	id := m.id()
	m.ID = &id
	return nil
}
