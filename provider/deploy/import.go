package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
)

// importedRole is a role of a task definition, and what it would be if nobody chose anything.
type importedRole struct {
	arn                      string
	owner                    ownership.Owner
	defaultName, defaultPath string
}

// ReadIAM reads what a user chose of the roles of a definition. Roles that bear the owner's tags were made by the resource,
// others were given.
func (c *Client) ReadIAM(ctx context.Context, d *ecstypes.TaskDefinition, owner ownership.Owner, path string) (*block.IAM, error) {
	home, err := c.Home(ctx)
	if err != nil {
		return nil, err
	}
	family := aws.ToString(d.Family)
	unnamedTask, err := iamrole.Task(iamrole.TaskSpec{Home: home, Family: family})
	if err != nil {
		return nil, err
	}
	unnamedExecution, err := iamrole.Execution(iamrole.ExecutionSpec{Home: home, Family: family})
	if err != nil {
		return nil, err
	}
	task := importedRole{aws.ToString(d.TaskRoleArn), owner, unnamedTask.Name, path}
	execution := importedRole{aws.ToString(d.ExecutionRoleArn), owner, unnamedExecution.Name, path}
	var m block.IAM
	var taskRole block.TaskRole
	var executionRole block.ExecutionRole
	keptTask, err := c.importRole(ctx, task, &m, &taskRole)
	if err != nil {
		return nil, err
	}
	kept, err := c.importRole(ctx, execution, &m, &executionRole.TaskRole)
	if err != nil {
		return nil, err
	}
	if kept != nil {
		executionRole.KMSKeyARNs = importKeys(kept)
	}
	importBoundaries(&m, map[*block.TaskRole]*RoleView{&taskRole: keptTask, &executionRole.TaskRole: kept})
	if !reflect.DeepEqual(taskRole, block.TaskRole{}) {
		m.TaskRole = &taskRole
	}
	if !reflect.DeepEqual(executionRole, block.ExecutionRole{}) {
		m.ExecutionRole = &executionRole
	}
	if m == (block.IAM{}) {
		return nil, nil
	}
	return &m, nil
}

// importRole fills the settings of one role and returns it if the resource made it.
func (c *Client) importRole(ctx context.Context, from importedRole, m *block.IAM, role *block.TaskRole) (*RoleView, error) {
	if from.arn == "" {
		return nil, nil
	}
	found, err := c.readRole(ctx, RoleDesign{Given: from.arn}.Name())
	if err != nil {
		return nil, err
	}
	if found == nil || found.Tags[ownership.TagRole] != from.owner.Name || from.owner.IsNot(found.Tags[ownership.TagRoleID]) {
		role.ARN = &from.arn
		return nil, nil
	}
	if found.Name != from.defaultName {
		role.Name = &found.Name
	}
	if found.Path != from.defaultPath {
		m.Path = &found.Path
	}
	if !strings.Contains(string(found.TrustPolicy), `"Condition"`) {
		anySource := true
		m.AnySource = &anySource
	}
	role.PolicyARNs = found.PolicyARNs
	for name, policy := range found.Policies {
		if iamrole.IsOwnPolicy(name) {
			continue
		}
		if role.InlinePolicies == nil {
			role.InlinePolicies = map[string]string{}
		}
		role.InlinePolicies[name] = string(policy)
	}
	return found, nil
}

// importBoundaries reads the boundaries of the roles that the resource made: one for both, or each its own.
func importBoundaries(m *block.IAM, roles map[*block.TaskRole]*RoleView) {
	var boundaries []string
	for _, view := range roles {
		if view != nil {
			boundaries = append(boundaries, view.PermissionsBoundary)
		}
	}
	slices.Sort(boundaries)
	switch boundaries = slices.Compact(boundaries); {
	case len(boundaries) == 1 && boundaries[0] != "":
		m.PermissionsBoundary = &boundaries[0]
	case len(boundaries) > 1:
		for role, view := range roles {
			if view != nil && view.PermissionsBoundary != "" {
				role.PermissionsBoundary = &view.PermissionsBoundary
			}
		}
	}
}

// ReadKeys are the KMS keys that a role may decrypt with; none if there is no such role.
func (c *Client) ReadKeys(ctx context.Context, roleARN string) ([]string, error) {
	role, err := c.readRole(ctx, RoleDesign{Given: roleARN}.Name())
	if err != nil || role == nil {
		return nil, err
	}
	return importKeys(role), nil
}

// importKeys are the KMS keys that a role may decrypt with by the mesh's own policy.
func importKeys(role *RoleView) []string {
	var keys []string
	for name, policy := range role.Policies {
		if !iamrole.IsOwnPolicy(name) {
			continue
		}
		var document struct {
			Statement []struct{ Action, Resource any }
		}
		if json.Unmarshal(policy, &document) != nil {
			continue
		}
		for _, s := range document.Statement {
			actions, _ := s.Action.([]any)
			resources, _ := s.Resource.([]any)
			if len(actions) != 1 || actions[0] != "kms:Decrypt" {
				continue
			}
			for _, r := range resources {
				if key, ok := r.(string); ok {
					keys = append(keys, key)
				}
			}
		}
	}
	return keys
}

// ImportID is the ID of an import: family, family:revision, cluster/service, or an ARN of the one or the other.
type ImportID struct {
	Definition string // family or family:revision; "" for a service
	ecsCluster string // as the user wrote it, but for an ARN of a service: then the name
	ECSService string
}

// ReadImportID reads the ID of an import, in the account and region that the provider works in.
func (c *Client) ReadImportID(ctx context.Context, id string) (ImportID, error) {
	home, err := c.Home(ctx)
	if err != nil {
		return ImportID{}, err
	}
	return parseImportID(id, home)
}

func parseImportID(id string, home iamrole.Home) (ImportID, error) {
	short := id
	if strings.HasPrefix(id, "arn:") {
		var err error
		if short, err = localResource(id, home); err != nil {
			return ImportID{}, err
		}
	}
	first, second, isService := strings.Cut(short, "/")
	switch {
	case id == "" || first == "" || isService && second == "":
		return ImportID{}, fmt.Errorf("the ID is %q, want family, family:revision, cluster/service or an ARN of a task definition or an ECS service", id)
	case isService:
		return ImportID{ecsCluster: first, ECSService: second}, nil
	default:
		return ImportID{Definition: first}, nil
	}
}

// localResource is what follows the kind in the ARN of a task definition or of an ECS service, of this account and region.
func localResource(text string, home iamrole.Home) (string, error) {
	parsed, err := arn.Parse(text)
	if err != nil {
		return "", fmt.Errorf("the ID %q is no ARN: %w", text, err)
	}
	kind, short, _ := strings.Cut(parsed.Resource, "/")
	switch {
	case parsed.Service != "ecs" || kind != "task-definition" && kind != "service":
		return "", fmt.Errorf("the ID %q is the ARN of a %s of %s, want that of a task-definition or a service of ecs", text, kind, parsed.Service)
	case parsed.Region != home.Region:
		return "", fmt.Errorf("the ID %q is of the region %s, the provider works in %s: import it with a provider of that region", text, parsed.Region, home.Region)
	case parsed.AccountID != home.Account:
		return "", fmt.Errorf("the ID %q is of the account %s, the provider works in %s: import it with that account's credentials", text, parsed.AccountID, home.Account)
	case kind == "service" && !strings.Contains(short, "/"):
		return "", fmt.Errorf("the ID %q names no ECS cluster, as ARNs of services once did: want cluster/%s", text, short)
	}
	return short, nil
}

// ServiceOf is the ID of the ECS service that the resource made which runs a family, whose name it has; the ID as it is if there is
// none or it names a service already. One of others is theirs, unless the ID names it.
func (c *Client) ServiceOf(ctx context.Context, id ImportID, ownerOf func(family string) string) (ImportID, error) {
	if id.ECSService != "" {
		return id, nil
	}
	family, _ := familyAndRevision(id.Definition)
	var found []string
	pages := ecs.NewListClustersPaginator(c.ecs, &ecs.ListClustersInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if awsapi.IsAccessDenied(err) {
			return id, nil
		}
		if err != nil {
			return id, fmt.Errorf("list ECS clusters: %w", err)
		}
		for _, ecsCluster := range page.ClusterArns {
			service, err := c.findService(ctx, ecsCluster, family)
			if err != nil {
				return id, err
			}
			if service == nil || awsapi.TagMap(service.Tags)[ownership.TagECS] != ownerOf(family) {
				continue
			}
			if runs, _ := familyAndRevision(aws.ToString(service.TaskDefinition)); runs == family {
				found = append(found, block.EcsClusterName(ecsCluster))
			}
		}
	}
	switch len(found) {
	case 0:
		return id, nil
	case 1:
		return ImportID{Definition: id.Definition, ecsCluster: found[0], ECSService: family}, nil
	default:
		return id, fmt.Errorf("services %s of the ECS clusters %s run the family: import one of them, as cluster/service", family, strings.Join(found, ", "))
	}
}

// Running is an ECS service, and the revision that it runs.
type Running struct {
	*block.ECSService
	Tags     map[string]string
	Revision *Revision
}

// ReadRunning reads the ECS service that the text of an ID names, as cluster/service or by its ARN.
func (c *Client) ReadRunning(ctx context.Context, text string) (Running, error) {
	id, err := c.ReadImportID(ctx, text)
	if err != nil {
		return Running{}, err
	}
	if id.ECSService == "" {
		return Running{}, fmt.Errorf("the ID is %q, want cluster/service or the ARN of the ECS service", text)
	}
	service, found, err := c.ReadService(ctx, id)
	if err != nil {
		return Running{}, err
	}
	revision, err := c.DescribeRevision(ctx, aws.ToString(found.TaskDefinition))
	return Running{service, awsapi.TagMap(found.Tags), revision}, err
}

// ReadService reads the ECS service that an ID names.
func (c *Client) ReadService(ctx context.Context, id ImportID) (*block.ECSService, *ecstypes.Service, error) {
	found, err := c.findService(ctx, id.ecsCluster, id.ECSService)
	if err != nil {
		return nil, nil, err
	}
	if found == nil {
		return nil, nil, fmt.Errorf("ECS cluster %s has no service %s", id.ecsCluster, id.ECSService)
	}
	m := &block.ECSService{
		Cluster: found.ClusterArn, Name: &id.ECSService, DesiredCount: &found.DesiredCount,
		Network: block.Network{CapacityProviderStrategy: []block.CapacityProvider{}},
	}
	if found.SchedulingStrategy == ecstypes.SchedulingStrategyDaemon {
		m.DesiredCount = nil
	}
	if found.LaunchType != "" {
		m.LaunchType = aws.String(string(found.LaunchType))
	}
	m.Refresh(block.Seen{Service: *found})
	if !m.ByCodeDeploy() {
		revision, err := c.serviceRevision(ctx, *found)
		if err != nil && !isSettledRefusal(err) {
			return nil, nil, err
		}
		if err != nil { // an import does not hang on what few services have
			warnOfUnread(ctx, *found, err)
		}
		m.ImportUnshown(revision)
	}
	m.SpellDefaults(aws.ToString(found.PlatformVersion) != "")
	if len(m.CapacityProviderStrategy) == 0 {
		m.CapacityProviderStrategy = nil
	} else {
		m.LaunchType = nil
	}
	return m, found, nil
}
