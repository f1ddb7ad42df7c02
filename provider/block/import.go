package block

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// AgentConfig is what the injected containers, or the controller's, read; "" if there is none. A doctor that a user added may
// have another.
func AgentConfig(containers []ecstypes.ContainerDefinition) string {
	ours := append(mesh.InjectedContainers(), mesh.ContainerController)
	for _, c := range containers {
		if !slices.Contains(ours, aws.ToString(c.Name)) {
			continue
		}
		for _, variable := range c.Environment {
			if aws.ToString(variable.Name) == mesh.ConfigVariable {
				return aws.ToString(variable.Value)
			}
		}
	}
	return ""
}

// What is imported is written as briefly as it can be: values that are the default, or the provider's, are left out.

// ReadConfig reads the agents' configuration off the containers.
func ReadConfig(containers []ecstypes.ContainerDefinition) (agentconfig.Config, error) {
	text := AgentConfig(containers)
	if text == "" {
		return agentconfig.Config{}, fmt.Errorf("no container has the environment variable %s: the task is not in the mesh", mesh.ConfigVariable)
	}
	return agentconfig.Parse([]byte(text))
}

// SecretOf is where a container's variable comes from, whichever container has it.
func SecretOf(containers []ecstypes.ContainerDefinition, variable string) string {
	for _, c := range containers {
		for _, s := range c.Secrets {
			if aws.ToString(s.Name) == variable {
				return aws.ToString(s.ValueFrom)
			}
		}
	}
	return ""
}

// importObject writes an opaque object as jsonencode does.
func importObject(object map[string]any) (*string, error) {
	if len(object) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("write config: %w", err)
	}
	return aws.String(string(b)), nil
}

func Injected(containers []ecstypes.ContainerDefinition) map[string]ecstypes.ContainerDefinition {
	found := map[string]ecstypes.ContainerDefinition{}
	for _, c := range containers {
		if slices.Contains(mesh.InjectedContainers(), aws.ToString(c.Name)) {
			found[aws.ToString(c.Name)] = c
		}
	}
	return found
}
