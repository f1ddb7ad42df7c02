package provider_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// lastingTasks is an emulator whose tasks run until they are stopped, and do not end by being looked at.
func lastingTasks(t *testing.T) cloud {
	t.Helper()
	c := binaries()[0].startMoto(t)
	setting := `{"model_name":"ecs::task","transition":{"progression":"manual","times":1000000}}`
	answer, err := http.Post(c.url+"/moto-api/state-manager/set-transition", "application/json", strings.NewReader(setting))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		t.Fatal(answer.Status)
	}
	return c
}

// runTask runs a task with tags, as something else than Terraform may, and returns its ARN.
func (c cloud) runTask(t *testing.T, at surroundings, group string, tags map[string]string) string {
	t.Helper()
	c.register(t, "runs-by-hand")
	input := &ecs.RunTaskInput{
		Cluster: &at.ecsCluster, TaskDefinition: aws.String("runs-by-hand"), LaunchType: ecstypes.LaunchTypeFargate, Group: &group,
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: []string{at.subnet}, SecurityGroups: []string{at.group}}},
	}
	for key, value := range tags {
		input.Tags = append(input.Tags, ecstypes.Tag{Key: &key, Value: &value})
	}
	ran, err := c.ecs.RunTask(t.Context(), input)
	if err != nil || len(ran.Tasks) != 1 {
		t.Fatal(ran, err)
	}
	return *ran.Tasks[0].TaskArn
}

func (c cloud) stopTask(t *testing.T, at surroundings, arn string) {
	t.Helper()
	if _, err := c.ecs.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: &at.ecsCluster, Task: &arn}); err != nil {
		t.Error(err)
	}
}

var ofTheMesh = map[string]string{"consul.hashicorp.com/mesh": "true"}

// A controller is not destroyed while tasks of the mesh run: the error names what runs them, and what to do. Where they stop in the
// meantime, as in a destroy of everything, it is; others' tasks do not matter.
func TestAControllerStaysWhileMeshTasksRun(t *testing.T) {
	t.Parallel()
	c := lastingTasks(t)
	around, further := c.surroundings(t, "stays"), c.surroundings(t, "beside") // moto takes every task of a cluster for each service's
	resources := func(changes fields) fields {
		return c.frame(fields{"consulecs_controller": fields{"this": quickController(around, with(fields{"ecs_clusters": []any{further.ecsCluster}}, changes))}})
	}
	dir, tf := c.state(t, fields{})
	brief := fields{"timeouts": fields{"delete": "10s"}} // enough to find out who runs the tasks
	dir.write(t, "main.tf.json", resources(brief))
	applied(t, tf)
	c.runTask(t, further, "service:other", nil)
	task := c.runTask(t, around, "service:web", ofTheMesh)
	err := tf.Destroy(t.Context())
	for _, want := range []string{"Controller was not deleted", "not done within 10s, the limit in timeouts", "service web of ECS cluster stays (1)", "force_destroy = true, and apply that first"} {
		if err == nil || !strings.Contains(inOneLine(err.Error()), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if there := c.eventsLeft(t, "consul-ecs-controller-stays"); len(there) != 3 || !c.serves(t, around, "consul-ecs-controller") {
		t.Errorf("of the controller there are %v", there)
	}
	nothingToDo(t, tf)
	dir.write(t, "main.tf.json", resources(fields{"timeouts": fields{"delete": "5m"}}))
	if err := tf.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan time.Time, 1)
	time.AfterFunc(3*time.Second, func() { c.stopTask(t, around, task); stopped <- time.Now() })
	destroyed(t, tf)
	if waited := time.Since(<-stopped); waited < 0 {
		t.Error("the controller was gone before the task")
	}
	if c.serves(t, around, "consul-ecs-controller") {
		t.Error("the controller is still there")
	}
}

// serves reports whether there is an active ECS service of the name.
func (c cloud) serves(t *testing.T, at surroundings, name string) bool {
	t.Helper()
	described, err := c.ecs.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: &at.ecsCluster, Services: []string{name}})
	return err == nil && len(described.Services) == 1 && aws.ToString(described.Services[0].Status) == "ACTIVE"
}

// Whoever says so destroys a controller at once, and one of another partition, or without any task left, has nobody to wait for.
func TestAControllerGoesAtOnceWhereNobodyNeedsIt(t *testing.T) {
	t.Parallel()
	c := lastingTasks(t)
	for name, changes := range map[string]fields{
		"goes-by-force": {"force_destroy": true}, "goes-by-partition": {"partition": "team"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			around, further := c.surroundings(t, name), c.surroundings(t, "further-"+strings.TrimPrefix(name, "goes-"))
			c.runTask(t, further, "family:job", ofTheMesh)
			changes["ecs_clusters"] = []any{further.ecsCluster}
			_, tf := c.state(t, fields{"consulecs_controller": fields{"this": quickController(around, with(fields{"timeouts": fields{"delete": "3m"}}, changes))}})
			applied(t, tf)
			destroyed(t, tf)
		})
	}
}

// The further ECS clusters of a controller count, too. What the refusal advises, helps: with force_destroy the controller goes, and
// the task goes on.
func TestAControllerStaysForItsFurtherClustersUnlessItIsForced(t *testing.T) {
	t.Parallel()
	c := lastingTasks(t)
	around, further := c.surroundings(t, "stays-here"), c.surroundings(t, "stays-there")
	resources := func(force bool, within string) fields {
		return c.frame(fields{"consulecs_controller": fields{"this": quickController(around, fields{
			"ecs_clusters": []any{further.ecsCluster}, "force_destroy": force, "timeouts": fields{"delete": within},
		})}})
	}
	dir, tf := c.state(t, fields{})
	dir.write(t, "main.tf.json", resources(false, "10s"))
	applied(t, tf)
	task := c.runTask(t, further, "family:job", ofTheMesh)
	if err := tf.Destroy(t.Context()); err == nil || !strings.Contains(inOneLine(err.Error()), "family job of ECS cluster stays-there (1)") {
		t.Errorf("got %v", err)
	}
	nothingToDo(t, tf)
	dir.write(t, "main.tf.json", resources(true, "3m"))
	if err := tf.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	destroyed(t, tf)
	if !c.taskRuns(t, further, task) || c.serves(t, around, "consul-ecs-controller") {
		t.Error("the task does not run any more, or the controller is still there")
	}
}

// taskRuns reports whether a task has not been stopped.
func (c cloud) taskRuns(t *testing.T, at surroundings, arn string) bool {
	t.Helper()
	described, err := c.ecs.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: &at.ecsCluster, Tasks: []string{arn}})
	if err != nil {
		t.Fatal(err)
	}
	return len(described.Tasks) == 1 && aws.ToString(described.Tasks[0].DesiredStatus) == "RUNNING"
}
