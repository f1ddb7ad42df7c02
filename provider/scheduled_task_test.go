package provider_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/world"
)

// scheduled is the example of a scheduled task in a world in which api runs.
type scheduled struct {
	*world.World
	ecs *ecs.Client
}

// testScheduledTask applies the example, runs its task as a schedule would, and looks at what becomes of one that ends well and of one that
// does not.
func testScheduledTask(t *testing.T, w *world.World, c cloud) {
	t.Helper()
	s := scheduled{w, c.ecs}
	s.allow(t, "report", "api")
	tf := s.apply(t)
	text, err := tf.Output(t.Context(), "output", "-state="+tf.State(), "-raw", "run_task_json")
	if err != nil {
		t.Fatal(err)
	}
	s.endsAndLeavesNothing(t, s.run(t, text, nil), 0) // looked at from its start on: it may be over in two seconds
	s.endsAndLeavesNothing(t, s.run(t, text, &ecstypes.TaskOverride{ContainerOverrides: []ecstypes.ContainerOverride{{
		Name: aws.String("report"), Environment: []ecstypes.KeyValuePair{{Name: aws.String("LISTEN"), Value: aws.String("127.0.0.1:9")}}, // nobody's
	}}}), 1)
	if err := tf.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// allow lets one service call another.
func (s scheduled) allow(t *testing.T, source, destination string) {
	t.Helper()
	_, _, err := s.Consul.API.ConfigEntries().Set(&api.ServiceIntentionsConfigEntry{
		Kind: api.ServiceIntentions, Name: destination, Sources: []*api.SourceIntention{{Name: source, Action: api.IntentionActionAllow}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// apply applies the example with a job that asks api for its health, through the proxy, and ends. Beside its variables nothing differs but
// where the world's AWS is.
func (s scheduled) apply(t *testing.T) *testenv.Terraform {
	t.Helper()
	dir := workDir(t)
	if err := os.CopyFS(string(dir), os.DirFS(filepath.Join("..", "examples", "scheduled-task"))); err != nil {
		t.Fatal(err)
	}
	dir.write(t, "world_override.tf.json", fields{"provider": fields{"consulecs": fields{
		"agent_image": "consulecs-agent:local",
		"endpoints":   fields{"ecs": s.AWS, "iam": s.AWS, "sts": s.AWS, "secretsmanager": s.AWS},
		"login":       fields{"enabled": true, "sts_endpoint": s.AWS, "iam_endpoint": s.AWS},
	}}})
	dir.write(t, "terraform.tfvars.json", fields{
		"region":      s.Region,
		"network":     fields{"ecs_cluster": s.Cluster, "subnets": []any{"subnet-0123456789abcdef0"}, "security_groups": []any{}},
		"consul":      fields{"hosts": s.ConsulHost, "server_name": s.ConsulServerName, "ca_secret_arn": s.CASecretARN},
		"launch_type": "EC2",
		"image":       "consulecs-demo-app:local", "command": []any{"health"}, "environment": fields{"LISTEN": "127.0.0.1:1234"},
	})
	tf := dir.terraform(t)
	if err := tf.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	return tf
}

// run calls RunTask with what the example says, and with what a caller may want otherwise.
func (s scheduled) run(t *testing.T, input []byte, overrides *ecstypes.TaskOverride) (arn string) {
	t.Helper()
	in := ecs.RunTaskInput{}
	if err := awsjson.UnmarshalStrict(input, &in); err != nil {
		t.Fatal(err)
	}
	in.Overrides = overrides
	ran, err := s.ecs.RunTask(t.Context(), &in)
	if err != nil || len(ran.Tasks) != 1 {
		t.Fatal(err, ran)
	}
	return *ran.Tasks[0].TaskArn
}

// endsAndLeavesNothing waits for the end of a task. At that moment Consul holds nothing of it any more, and before it, it held a service
// without a port.
func (s scheduled) endsAndLeavesNothing(t *testing.T, arn string, exit int32) {
	t.Helper()
	id := arn[strings.LastIndexByte(arn, '/')+1:]
	var task ecstypes.Task
	var ports []string
	if _, err := eventually.Seen(t.Context(), "the task ends", 5*time.Minute, func() (string, error) {
		held, err := s.portsOf(t.Context(), id)
		if err != nil {
			return "", err
		}
		ports = slices.Compact(slices.Sorted(slices.Values(append(ports, held...))))
		described, err := s.ecs.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: &s.Cluster, Tasks: []string{arn}, Include: []ecstypes.TaskField{ecstypes.TaskFieldTags}})
		if err != nil || len(described.Tasks) != 1 {
			return fmt.Sprint(described), err
		}
		if task = described.Tasks[0]; aws.ToString(task.LastStatus) != "STOPPED" {
			return "it is " + aws.ToString(task.LastStatus), nil
		}
		return "", nil
	}); err != nil {
		t.Fatal(err)
	}
	if held, err := s.portsOf(t.Context(), id); err != nil || len(held) > 0 {
		t.Errorf("when the task has ended, Consul still holds %v, %v", held, err)
	}
	if tokens := s.tokensOf(t, id); tokens > 0 {
		t.Errorf("when the task has ended, Consul still holds %d of its tokens", tokens)
	}
	if want := []string{"report-sidecar-proxy:20000", "report:0"}; !slices.Equal(ports, want) && exit == 0 {
		t.Errorf("while the task ran, Consul held %v, want %v", ports, want)
	}
	tags := awsapi.TagMap(task.Tags)
	if tags[mesh.TaskTagMesh] != "true" || tags[mesh.TaskTagServiceName] != "report" {
		t.Errorf("the task bears the tags %v", tags)
	}
	if task.StopCode != ecstypes.TaskStopCodeEssentialContainerExited {
		t.Errorf("the task stopped for %s: %s", task.StopCode, aws.ToString(task.StoppedReason))
	}
	for _, container := range task.Containers {
		want := int32(0) // who runs the task reads the job's exit code, and the mesh's own containers end well
		if aws.ToString(container.Name) == "report" {
			want = exit
		}
		if container.ExitCode == nil || *container.ExitCode != want {
			log, err := s.Logs(t.Context(), arn, aws.ToString(container.Name))
			t.Errorf("container %s ended with %d, want %d: %s\n%s%v", aws.ToString(container.Name), aws.ToInt32(container.ExitCode), want, aws.ToString(container.Reason), log, err)
		}
	}
}

// portsOf are the services that the catalog has of a task, each with its port.
func (s scheduled) portsOf(ctx context.Context, task string) (found []string, err error) {
	node, _, err := s.Consul.API.Catalog().NodeServiceList(s.Cluster, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return nil, err
	}
	for _, service := range node.Services {
		if service.Meta[mesh.MetaTaskID] == task {
			found = append(found, fmt.Sprintf("%s:%d", service.Service, service.Port))
		}
	}
	return found, nil
}

// tokensOf is how many tokens there are of a task's logins.
func (s scheduled) tokensOf(t *testing.T, task string) (n int) {
	t.Helper()
	tokens, _, err := s.Consul.API.ACL().TokenListFiltered(api.ACLTokenFilterOptions{AuthMethod: mesh.AuthMethod}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens {
		if strings.Contains(token.Description, task) {
			n++
		}
	}
	return n
}
