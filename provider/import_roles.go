package provider

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
)

// importedRole is a role of a task definition, and what it would be if nobody chose anything.
type importedRole struct {
	arn, owner, defaultName, defaultPath string
}

// importIAM reads what a user chose of the roles of a definition. Roles that bear the owner's tag were made by the resource,
// others were given.
func (c *client) importIAM(ctx context.Context, d *ecstypes.TaskDefinition, owner, path string) (*iamModel, error) {
	home, err := c.home(ctx)
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
	var m iamModel
	var taskRole taskRoleModel
	var executionRole executionRoleModel
	if _, err := c.importRole(ctx, task, &m, &taskRole); err != nil {
		return nil, err
	}
	kept, err := c.importRole(ctx, execution, &m, &executionRole.taskRoleModel)
	if err != nil {
		return nil, err
	}
	if kept != nil {
		executionRole.KMSKeyARNs = importKeys(kept)
	}
	if !reflect.DeepEqual(taskRole, taskRoleModel{}) {
		m.TaskRole = &taskRole
	}
	if !reflect.DeepEqual(executionRole, executionRoleModel{}) {
		m.ExecutionRole = &executionRole
	}
	if m == (iamModel{}) {
		return nil, nil
	}
	return &m, nil
}

// importRole fills the settings of one role and returns it if the resource made it.
func (c *client) importRole(ctx context.Context, from importedRole, m *iamModel, role *taskRoleModel) (*roleView, error) {
	if from.arn == "" {
		return nil, nil
	}
	found, err := c.readRole(ctx, roleDesign{given: from.arn}.name())
	if err != nil {
		return nil, err
	}
	if found == nil || found.Tags[tagOwner] != from.owner {
		role.ARN = &from.arn
		return nil, nil
	}
	if found.Name != from.defaultName {
		role.Name = &found.Name
	}
	if found.Path != from.defaultPath {
		m.Path = &found.Path
	}
	if found.PermissionsBoundary != "" {
		m.PermissionsBoundary = &found.PermissionsBoundary
	}
	if !strings.Contains(string(found.TrustPolicy), `"Condition"`) {
		anySource := true
		m.AnySource = &anySource
	}
	role.PolicyARNs = found.PolicyARNs
	return found, nil
}

// importKeys are the KMS keys that the execution role may decrypt with.
func importKeys(role *roleView) []string {
	var keys []string
	for _, policy := range role.Policies {
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

// defaultRolePath is where roles go whose user names no path.
func (d defaults) defaultRolePath(otherwise string) string { return orDefault(d.rolePath, otherwise) }
