// Package release lets the controller in whose container it runs remove what its brake holds back. It is for operators, by
// ECS Exec, once they have seen that the tasks are dead:
//
//	aws ecs execute-command … --container consul-ecs-controller --interactive --command "consulecs-agent release"
//
// Environment:
//
//	CONSUL_ECS_CONFIG_JSON   the controller's configuration, of which controller.httpAddress counts
//
// Exit codes: 0 released, of how many tasks it prints; 1 not released; 2 wrong usage.
package release

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/controllerhttp"
)

// Name is the agent's name on the command line.
const Name = "release"

const timeout = 30 * time.Second

// Run asks once.
func Run(ctx context.Context, getenv func(string) string, _ []string, stdout, _ io.Writer) error {
	cfg, err := agentenv.Load(getenv)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tasks, err := controllerhttp.AskRelease(ctx, cfg.ControllerSettings().HTTPAddress)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "released what %d tasks left behind\n", tasks)
	return err
}
