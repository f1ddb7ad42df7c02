package incumbent

import (
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// State is a file of Terraform's state, version 4, with what was applied of the module and beside it.
type State struct {
	registry  string
	resources []object
}

// NewState is an empty state of a Terraform, or an OpenTofu, whose providers come from the registry.
func NewState(registry string) *State { return &State{registry: registry} }

// Provider is the address of HashiCorp's provider for AWS.
func (s *State) Provider() string { return s.registry + "/hashicorp/aws" }

// Add adds a resource of HashiCorp's provider for AWS. module is a name of a module, "" the root's.
func (s *State) Add(module, typ, name string, version int, attributes map[string]any) {
	resource := object{
		"mode": "managed", "type": typ, "name": name, "provider": fmt.Sprintf("provider[%q]", s.Provider()),
		"instances": []object{{"schema_version": version, "attributes": attributes, "sensitive_attributes": []any{}}},
	}
	if module != "" {
		resource["module"] = "module." + module
	}
	s.resources = append(s.resources, resource)
}

// JSON is the file.
func (s *State) JSON() ([]byte, error) {
	return json.MarshalIndent(object{
		"version": 4, "terraform_version": "1.8.0", "serial": 1, "lineage": "5f0c2c2e-3d0f-4a58-9d5b-1d3f6a0b7c11", "outputs": object{}, "resources": s.resources,
	}, "", "  ")
}

// AddTask adds what a module of the name has of a task.
func (s *State) AddTask(module string, d *ecstypes.TaskDefinition, roles Roles) error {
	family := aws.ToString(d.Family)
	s.addRole(module, "task", family+"-task", roles.TaskRole, roles.TaskPolicy)
	s.addRole(module, "execution", family+"-execution", roles.ExecutionRole, roles.ExecutionPolicy)
	return s.AddDefinition(module, d)
}

// addRole adds a role with its managed policy, "" for none.
func (s *State) addRole(module, name, role, roleARN, policyARN string) {
	s.Add(module, "aws_iam_role", name, 0, object{"arn": roleARN, "name": role, "id": role})
	if policyARN != "" {
		s.Add(module, "aws_iam_policy", name, 0, object{"arn": policyARN, "name": role, "id": policyARN})
		s.Add(module, "aws_iam_role_policy_attachment", name, 0, object{"policy_arn": policyARN, "role": role, "id": role + "-20260710120000000000000001"})
	}
}

// AddDefinition adds a task definition alone.
func (s *State) AddDefinition(module string, d *ecstypes.TaskDefinition) error {
	attributes, err := definitionAttributes(d)
	if err != nil {
		return err
	}
	s.Add(module, "aws_ecs_task_definition", "this", 1, attributes)
	return nil
}

// AddService adds the ECS service that a user of the module writes beside it.
func (s *State) AddService(name string, service *ecstypes.Service) {
	s.Add("", "aws_ecs_service", name, 1, object{
		"id": aws.ToString(service.ServiceArn), "arn": aws.ToString(service.ServiceArn), "name": aws.ToString(service.ServiceName), "cluster": aws.ToString(service.ClusterArn),
		"task_definition": aws.ToString(service.TaskDefinition), "desired_count": service.DesiredCount, "propagate_tags": "TASK_DEFINITION",
	})
}

// definitionAttributes are those of aws_ecs_task_definition, schema version 1.
func definitionAttributes(d *ecstypes.TaskDefinition) (object, error) {
	containers, err := json.Marshal(d.ContainerDefinitions) // with the SDK's own keys, which nobody reads
	if err != nil {
		return nil, fmt.Errorf("write containers of %s: %w", aws.ToString(d.Family), err)
	}
	volumes := []object{}
	for _, v := range d.Volumes {
		volumes = append(volumes, object{"name": aws.ToString(v.Name), "host_path": "", "configure_at_launch": false})
	}
	return object{
		"arn": aws.ToString(d.TaskDefinitionArn), "id": aws.ToString(d.Family), "family": aws.ToString(d.Family), "revision": d.Revision,
		"container_definitions": string(containers), "cpu": aws.ToString(d.Cpu), "memory": aws.ToString(d.Memory), "network_mode": string(d.NetworkMode),
		"requires_compatibilities": d.RequiresCompatibilities, "task_role_arn": aws.ToString(d.TaskRoleArn), "execution_role_arn": aws.ToString(d.ExecutionRoleArn),
		"skip_destroy": false, "track_latest": false, "enable_fault_injection": false, "volume": volumes,
		"ephemeral_storage": []any{}, "placement_constraints": []any{}, "proxy_configuration": []any{}, "runtime_platform": []any{},
	}, nil
}
