// Package agentenv reads the agents' configuration from their environment.
package agentenv

import (
	"fmt"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Load reads and checks the configuration in the variable mesh.ConfigVariable. Its errors name the variable and the JSON
// path of what is wrong.
func Load(getenv func(string) string) (agentconfig.Config, error) {
	text := getenv(mesh.ConfigVariable)
	if text == "" {
		return agentconfig.Config{}, fmt.Errorf("%s is not set\nhint: the provider writes it into the task definition; it holds the agent's configuration as JSON", mesh.ConfigVariable)
	}
	cfg, err := agentconfig.Parse([]byte(text))
	if err != nil {
		return agentconfig.Config{}, fmt.Errorf("%s: %w", mesh.ConfigVariable, err)
	}
	return cfg, nil
}
