package provider_test

import (
	"strings"
	"testing"
)

// What means the same is the same, however it is spelt: a cluster by name or ARN, and defaults that are spelt out.
func TestOtherSpellingsChangeNothing(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	around := c.surroundings(t, "spelling")
	config := func(around surroundings, spelledOut fields) fields {
		task := meshTask(fields{"family": "spelling", "ecs_service": with(fields{"cluster": around.ecsCluster, "subnets": []any{around.subnet}, "security_groups": []any{around.group}, "launch_type": "EC2", "desired_count": 0}, spelledOut)})
		control := controller(fields{"name": "spelling-controller", "cluster": around.ecsCluster, "subnets": []any{around.subnet}, "security_groups": []any{around.group}, "launch_type": "EC2", "wait_for_steady_state": false})
		return c.frame(fields{"consulecs_mesh_task": fields{"this": task}, "consulecs_controller": fields{"this": control}})
	}
	dir := workDir(t)
	dir.write(t, "main.tf.json", config(around, nil))
	tf := dir.terraform(t)
	if err := tf.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	named := around
	named.ecsCluster = around.ecsCluster[strings.LastIndexByte(around.ecsCluster, '/')+1:]
	for name, spelling := range map[string]fields{
		"a cluster by its name": config(named, nil),
	} {
		dir.write(t, "main.tf.json", spelling)
		changes, err := tf.PlanChanges(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(changes) > 0 {
			t.Errorf("%s: %v", name, changes)
		}
	}
}
