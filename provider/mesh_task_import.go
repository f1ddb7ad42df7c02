package provider

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// ImportState implements resource.ResourceWithImportState: the task definition and the agents' configuration in it are read
// back into attributes. What AWS does not keep (timeouts, wait_for_steady_state, revision_policy) stays unset.
func (r *meshTaskResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	m, err := r.client.importMeshTask(ctx, req.ID)
	if err != nil {
		resp.Diagnostics.AddError("Mesh task was not imported", fmt.Sprintf("import %s: %v", req.ID, err))
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (c *client) importMeshTask(ctx context.Context, text string) (*meshTaskModel, error) {
	id, err := parseImportID(text)
	if err != nil {
		return nil, err
	}
	m := &meshTaskModel{Timeouts: noTimeouts()}
	if id.service != "" {
		service, found, err := c.importService(ctx, id)
		if err != nil {
			return nil, err
		}
		m.ECSService, id.definition = service, aws.ToString(found.TaskDefinition)
	}
	found, err := c.describeRevision(ctx, id.definition)
	if err != nil {
		return nil, err
	}
	if err := c.importDefinition(ctx, m, found); err != nil {
		return nil, err
	}
	if m.ECSService != nil && value(m.ECSService.Name) == value(m.Family) {
		m.ECSService.Name = nil
	}
	return m, c.importOutcome(ctx, m)
}

// importDefinition fills the model from a revision.
func (c *client) importDefinition(ctx context.Context, m *meshTaskModel, from *revision) error {
	d := from.definition
	cfg, err := importConfig(d.ContainerDefinitions)
	if err != nil {
		return err
	}
	family := aws.ToString(d.Family)
	m.Family = &family
	m.Service = importService(cfg.Service, family)
	if value(cfg.Service).Port == 0 {
		m.OutboundOnly = aws.Bool(true)
	}
	proxy := value(cfg.Proxy)
	if m.Upstreams, err = importUpstreams(proxy.Upstreams); err != nil {
		return err
	}
	if m.Proxy, err = importProxy(proxy); err != nil {
		return err
	}
	m.Transparent = importTransparent(cfg)
	m.ConsulServers = importServers(cfg.ConsulServers, d.ContainerDefinitions, c.defaults)
	m.Login = importLogin(cfg.ConsulLogin, c.defaults)
	m.Task = importTask(d)
	m.Containers = importContainers(d, cfg)
	m.Tags = c.defaults.importTags(from.tags)
	m.importSidecars(d, c.defaults)
	m.importStopWithin(proxy, c.defaults)
	if cfg.LogLevel != "" || cfg.LogJSON {
		if m.Sidecars == nil {
			m.Sidecars = &sidecarsModel{}
		}
		fromSpec(&m.Sidecars.LogLevel, cfg.LogLevel)
		fromSpec(&m.Sidecars.LogJSON, cfg.LogJSON)
	}
	m.IAM, err = c.importIAM(ctx, d, owner(meshTaskType, c.region, family), c.defaults.defaultRolePath(mesh.RolePath))
	return err
}

// importOutcome names what the resource keeps, so that the read that follows an import can look at it.
func (c *client) importOutcome(ctx context.Context, m *meshTaskModel) error {
	home, err := c.home(ctx)
	if err != nil {
		return err
	}
	want, err := m.design(c.defaults, home)
	if err != nil {
		return err
	}
	decided, err := want.decided()
	if err != nil {
		return err
	}
	m.meshNames, m.outcomeModel = m.names(home), decided
	m.ID = m.Family
	return nil
}

// importTags are the user's tags: neither the mesh's nor the provider's.
func (d defaults) importTags(tags map[string]string) map[string]string {
	own := maps.Clone(tags)
	maps.DeleteFunc(own, func(key, value string) bool {
		ours := func(prefix string) bool { return strings.HasPrefix(key, prefix) }
		supplied, ok := d.tags[key]
		return slices.ContainsFunc(mesh.TagPrefixes(), ours) || ok && supplied == value
	})
	if len(own) == 0 {
		return nil
	}
	return own
}
