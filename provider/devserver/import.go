package devserver

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/devserver"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// read is what an import makes of what is there, by cluster/service or the ARN of the service.
func read(ctx context.Context, c *deploy.Client, text string) (*model, error) {
	is, err := c.ReadRunning(ctx, text)
	if err != nil {
		return nil, err
	}
	m := &model{ECSCluster: is.Cluster, Name: is.Name, WaitForSteadyState: aws.Bool(true), Timeouts: row.NoTimeouts(), Network: is.Network}
	m.attached(is.ECSService)
	owner := m.owner(c.Region).Name
	m.OwnerID = cmp.Or(ownership.IDOf(owner, is.Revision.Tags), ownership.IDOf(owner, is.Tags))
	if err := m.readDefinition(is.Revision.Definition, is.Revision.Tags, c.Defaults); err != nil {
		return nil, err
	}
	if m.IAM, err = c.ReadIAM(ctx, is.Revision.Definition, m.owner(c.Region), rolePath); err != nil {
		return nil, err
	}
	return m, m.readOutcome(ctx, c)
}

// readDefinition spells out what has a default, but for blocks.
func (m *model) readDefinition(d *ecstypes.TaskDefinition, tags map[string]string, defaults block.Defaults) error {
	i := slices.IndexFunc(d.ContainerDefinitions, func(c ecstypes.ContainerDefinition) bool { return aws.ToString(c.Name) == devserver.Container })
	if i < 0 {
		return fmt.Errorf("task definition %s has no container %s: it is no server of this resource", aws.ToString(d.TaskDefinitionArn), devserver.Container)
	}
	is := d.ContainerDefinitions[i]
	cfg, err := devserver.ReadConfig(block.AgentConfig(d.ContainerDefinitions))
	if err != nil {
		return err
	}
	m.Datacenter, m.LogLevel, m.Image = &cfg.Datacenter, &cfg.LogLevel, is.Image
	row.FromSpec(&m.DNSName, cfg.NodeMeta.DNSName)
	m.LogConfiguration = block.ReadOwnLog(is.LogConfiguration, defaults.LogConfiguration.Spec())
	if is.RepositoryCredentials != nil {
		m.PullCredentialsSecretARN = is.RepositoryCredentials.CredentialsParameter
	}
	for _, mount := range is.MountPoints {
		if name := aws.ToString(mount.SourceVolume); name != devserver.DataVolume {
			m.DataVolume = &name
		}
	}
	task := *d
	task.Volumes = slices.DeleteFunc(slices.Clone(d.Volumes), func(v ecstypes.Volume) bool { return aws.ToString(v.Name) == devserver.DataVolume })
	m.Task = block.ReadTask(&task)
	m.Tags = defaults.ImportTags(tags)
	return nil
}

func (m *model) readOutcome(ctx context.Context, c *deploy.Client) error {
	set, err := c.ReadSecrets(ctx, m.family())
	if err != nil {
		return err
	}
	if set != nil {
		m.Version, m.CACertificate = &set.Version, &set.CACertificate
	}
	home, is, err := c.Imported(ctx, m.design, m.Outputs)
	if err != nil {
		return err
	}
	m.computeNames(c.Defaults, home, nil)
	m.Outcome, m.Outputs = is.Outcome, is.Secrets
	id := m.id()
	m.ID = &id
	return nil
}
