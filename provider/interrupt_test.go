package provider_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// Ctrl-C while an ECS service is waited for: everything was made, so nothing is tainted, and nothing is left to do. Moto's tasks
// never run, so a service that wants one is never steady.
func TestAnInterruptedWaitLosesNothing(t *testing.T) {
	t.Parallel()
	onEveryBinary(t, func(t *testing.T, on *binary) {
		c := on.startMoto(t)
		around := c.surroundings(t, "interrupted-wait")
		dir := workDir(t)
		shown := make(lines, 1)
		cfg := on.config(t, dir)
		cfg.Out = shown
		tf := newTerraform(t, cfg)
		for i, doing := range []string{"creating", "modifying"} {
			image, arn := fmt.Sprintf("app:%d", i+1), fmt.Sprintf("task-definition/waiting:%d", i+1)
			dir.write(t, "main.tf.json", c.frame(fields{"consulecs_mesh_task": fields{"this": meshTask(fields{
				"family": "waiting", "container": []any{fields{"name": "app", "image": image}},
				"ecs_service": fields{"cluster": around.ecsCluster, "subnets": []any{around.subnet}, "security_groups": []any{around.group}, "launch_type": "FARGATE", "desired_count": 1, "wait_for_steady_state": true},
			})}}))
			said := interrupted(t, tf, func() bool { return c.runs(t, around.ecsCluster, "waiting", arn) && shown.have("Still "+doing) })
			if !strings.Contains(said, "Warning: ECS service not waited for") || strings.Contains(said, "Error: ECS") || strings.Contains(said, "Error: Mesh task") {
				t.Errorf("%s: %s", doing, said)
			}
			wantHeld(t, tf, arn)
			if changes, err := tf.PlanChanges(t.Context()); err != nil || len(changes) > 0 {
				t.Errorf("%s: there is still something to do: %v %v", doing, changes, err)
			}
		}
		if err := tf.Destroy(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// wantHeld wants the state to hold the one resource, with that revision, and not tainted.
func wantHeld(t *testing.T, tf *testenv.Terraform, arn string) {
	t.Helper()
	held := shownIn(t, tf, tf.State())
	if len(held) != 1 {
		t.Errorf("the state holds %v, want one resource", held)
		return
	}
	is, _ := held[0].Values["arn"].(string)
	if held[0].Tainted || !strings.HasSuffix(is, arn) || held[0].Values["ecs_service_running_arn"] != is {
		t.Errorf("the state holds %+v, want %s, running and not tainted", held[0], arn)
	}
}

// interrupted applies, sends the process SIGINT once it is time to, and returns what it said until it ended.
func interrupted(t *testing.T, tf *testenv.Terraform, timeTo func() bool) string {
	t.Helper()
	const limit = 5 * time.Minute
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	ended := make(chan error, 1)
	go func() { ended <- tf.Apply(ctx) }()
	deadline := time.After(limit)
	for tick := time.Tick(200 * time.Millisecond); ; {
		select {
		case err := <-ended:
			if err == nil || ctx.Err() == nil {
				t.Fatalf("the apply ended before it was interrupted: %v", err)
			}
			return err.Error()
		case <-deadline:
			t.Fatalf("not ended within %s", limit)
		case <-tick:
			if timeTo() {
				interrupt()
			}
		}
	}
}

// runs reports whether the ECS service is there and is to run the revision.
func (c cloud) runs(t *testing.T, ecsCluster, name, definition string) bool {
	t.Helper()
	described, err := c.ecs.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: &ecsCluster, Services: []string{name}})
	return err == nil && len(described.Services) == 1 && strings.HasSuffix(aws.ToString(described.Services[0].TaskDefinition), definition)
}

// lines is a writer that keeps what was written last.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	select {
	case <-l:
	default:
	}
	l <- string(p)
	return len(p), nil
}

// have reports whether the text was written last.
func (l lines) have(text string) bool {
	select {
	case last := <-l:
		return strings.Contains(last, text)
	default:
		return false
	}
}
