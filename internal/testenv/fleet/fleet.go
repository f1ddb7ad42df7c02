// Package fleet runs the controller and mesh tasks on a world without Terraform: the definitions and roles are those
// that the provider makes, registered through the SDK. Tests of lives and deaths, and the benchmarks, start here.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/eventqueue"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/taskevents"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/world"
)

// Subnet is where every task is placed; localecs takes any.
const Subnet = "subnet-0123456789abcdef0"

// account is the emulators' and localecs's.
const account = "123456789012"

// Fleet is the tasks of one world.
type Fleet struct {
	world.Address
	ecs *ecs.Client
	iam *iam.Client
}

// New returns a fleet without any task.
func New(address world.Address) *Fleet {
	cfg := address.AWSConfig()
	return &Fleet{address, ecs.NewFromConfig(cfg), iam.NewFromConfig(cfg)}
}

// App is a container that runs the demo's application, with a health check at ECS's shortest interval if asked for.
func App(name, listen, upstream string, healthCheck bool) ecstypes.ContainerDefinition {
	app := ecstypes.ContainerDefinition{
		Name: aws.String("app"), Image: aws.String(toolcache.DemoAppImage), Essential: aws.Bool(true),
		Environment: []ecstypes.KeyValuePair{
			{Name: aws.String("LISTEN"), Value: &listen}, {Name: aws.String("NAME"), Value: &name}, {Name: aws.String("UPSTREAM"), Value: &upstream},
		},
	}
	if healthCheck {
		app.HealthCheck = &ecstypes.HealthCheck{
			Command:  []string{"CMD", "/demo-app", "health"},
			Interval: aws.Int32(5), Timeout: aws.Int32(2), Retries: aws.Int32(2),
		}
	}
	return app
}

// Spec is a mesh task of the service on port, with one application container.
func (f *Fleet) Spec(service string, port int, app ecstypes.ContainerDefinition) taskdef.Spec {
	return taskdef.Spec{
		Family: service, Service: agentconfig.Service{Port: port}, Servers: f.servers(),
		Login:      f.login(),
		Task:       taskdef.Task{CPU: 256, Memory: 1024},
		Containers: []taskdef.Container{{Definition: app}},
		Sidecars:   taskdef.Sidecars{Image: toolcache.AgentImage},
		Module:     taskdef.Module{Name: "terraform-provider-consulecs", Version: "test"},
	}
}

// plain reports whether the world's Consul has neither TLS nor ACLs.
func (f *Fleet) plain() bool { return f.ConsulCAPEM == "" }

// login is none where the world is plain.
func (f *Fleet) login() agentconfig.ConsulLogin {
	if f.plain() {
		return agentconfig.ConsulLogin{}
	}
	return agentconfig.ConsulLogin{Enabled: true, STSEndpoint: f.AWS, IAMEndpoint: f.AWS}
}

func (f *Fleet) servers() taskdef.Servers {
	if f.plain() {
		return taskdef.Servers{ConsulServers: agentconfig.ConsulServers{
			Hosts: f.ConsulHost, Defaults: &agentconfig.ServerDefaults{TLS: aws.Bool(false)},
		}}
	}
	return taskdef.Servers{
		ConsulServers: agentconfig.ConsulServers{
			Hosts: f.ConsulHost, Defaults: &agentconfig.ServerDefaults{TLSServerName: f.ConsulServerName},
		},
		CASecretARN: f.CASecretARN,
	}
}

// Register makes the roles of a mesh task and registers its definition. It returns the definition's ARN.
func (f *Fleet) Register(ctx context.Context, s taskdef.Spec) (arn string, err error) {
	return f.RegisterAs(ctx, s, Difference{})
}

// Difference is what a task has otherwise than the provider makes it. Its functions may be nil.
type Difference struct {
	TaskRole   func(*iamrole.Role)
	Definition func(*taskdef.Definition)
}

// RegisterAs is Register with a difference.
func (f *Fleet) RegisterAs(ctx context.Context, s taskdef.Spec, differ Difference) (arn string, err error) {
	task, err := iamrole.Task(iamrole.TaskSpec{Settings: iamrole.Settings{AnySource: true}, Home: f.home(), Family: s.Family, ServiceName: s.Family, Further: s.ServiceNames()[1:], ACLs: s.Login.Enabled})
	if err != nil {
		return "", err
	}
	if differ.TaskRole != nil {
		differ.TaskRole(&task)
	}
	if s.TaskRoleARN, err = f.makeRole(ctx, task); err != nil {
		return "", err
	}
	return f.register(ctx, s.Family, func(executionRole string) (*taskdef.Definition, error) {
		s.ExecutionRoleARN = executionRole
		d, err := taskdef.Build(s)
		if err == nil && differ.Definition != nil {
			differ.Definition(d)
		}
		return d, err
	})
}

// fullLookSeconds is how far apart the full looks of controllers are that hear of events. A token that its task has made since the
// last one, and that outlived the task's services, is left to the next one: tests do not wait five minutes.
const fullLookSeconds = 60

// Events is the queue by which a controller hears of the ends of tasks. The zero value is none.
type Events struct{ QueueURL, QueueARN string }

// MakeEvents makes what brings the ends of the fleet's tasks to its controllers, as the provider does.
func (f *Fleet) MakeEvents(ctx context.Context) (Events, error) {
	design := eventqueue.Of(eventqueue.Spec{Home: f.home(), Family: taskdef.DefaultControllerFamily, ECSClusterARNs: []string{f.Cluster}})
	url, err := taskevents.Make(ctx, f.AWSConfig(), design)
	return Events{url, design.Queue.ARN}, err
}

// RegisterController makes the controller's roles and registers its definition.
func (f *Fleet) RegisterController(ctx context.Context, events Events) (arn string, err error) {
	s := taskdef.ControllerSpec{
		Controller: agentconfig.Controller{
			AuthMethod: &agentconfig.AuthMethod{STSEndpoint: f.AWS, IAMEndpoint: f.AWS}, EventQueueURL: events.QueueURL,
		},
		Servers: f.servers(), TokenSecretARN: f.TokenSecretARN, Image: toolcache.AgentImage,
	}
	if events.QueueURL != "" {
		s.Controller.SyncSeconds = aws.Int(fullLookSeconds)
	}
	task, err := iamrole.Controller(iamrole.ControllerSpec{
		Settings: iamrole.Settings{AnySource: true}, Home: f.home(), Family: taskdef.DefaultControllerFamily, ECSClusterARNs: []string{f.Cluster},
		EventQueueARN: events.QueueARN,
	})
	if err != nil {
		return "", err
	}
	if s.TaskRoleARN, err = f.makeRole(ctx, task); err != nil {
		return "", err
	}
	return f.register(ctx, taskdef.DefaultControllerFamily, func(executionRole string) (*taskdef.Definition, error) {
		s.ExecutionRoleARN = executionRole
		return taskdef.BuildController(s)
	})
}

// register builds a definition twice: the execution role is made from the containers that the first one has.
func (f *Fleet) register(ctx context.Context, family string, build func(executionRole string) (*taskdef.Definition, error)) (arn string, err error) {
	draft, err := build("")
	if err != nil {
		return "", err
	}
	role, err := iamrole.Execution(iamrole.ExecutionSpec{
		Settings: iamrole.Settings{AnySource: true}, Home: f.home(), Family: family, Containers: draft.ContainerDefinitions,
	})
	if err != nil {
		return "", err
	}
	roleARN, err := f.makeRole(ctx, role)
	if err != nil {
		return "", err
	}
	definition, err := build(roleARN)
	if err != nil {
		return "", err
	}
	registered, err := f.ecs.RegisterTaskDefinition(ctx, definition)
	if err != nil {
		return "", err
	}
	return aws.ToString(registered.TaskDefinition.TaskDefinitionArn), nil
}

func (f *Fleet) home() iamrole.Home {
	return iamrole.Home{Partition: "aws", Region: f.Region, Account: account}
}

// makeRole makes a role with its inline policy, or returns the one of that name that is there.
func (f *Fleet) makeRole(ctx context.Context, r iamrole.Role) (arn string, err error) {
	in := &iam.CreateRoleInput{RoleName: &r.Name, Path: &r.Path, AssumeRolePolicyDocument: &r.TrustPolicy}
	for _, key := range slices.Sorted(maps.Keys(r.Tags)) {
		in.Tags = append(in.Tags, iamtypes.Tag{Key: &key, Value: aws.String(r.Tags[key])})
	}
	made, err := f.iam.CreateRole(ctx, in)
	var exists *iamtypes.EntityAlreadyExistsException
	switch {
	case errors.As(err, &exists):
		there, err := f.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: &r.Name})
		if err != nil {
			return "", fmt.Errorf("read role %s: %w", r.Name, err)
		}
		return aws.ToString(there.Role.Arn), nil
	case err != nil:
		return "", fmt.Errorf("create role %s: %w", r.Name, err)
	case r.Policy != "":
		_, err = f.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &r.Name, PolicyName: &r.PolicyName, PolicyDocument: &r.Policy})
	}
	return aws.ToString(made.Role.Arn), err
}

// Run starts one task of a definition, on EC2.
func (f *Fleet) Run(ctx context.Context, definitionARN string) (ecstypes.Task, error) {
	return f.RunOn(ctx, definitionARN, ecstypes.LaunchTypeEc2)
}

// RunOn is Run on a launch type.
func (f *Fleet) RunOn(ctx context.Context, definitionARN string, launchType ecstypes.LaunchType) (ecstypes.Task, error) {
	out, err := f.ecs.RunTask(ctx, &ecs.RunTaskInput{
		Cluster: &f.Cluster, TaskDefinition: &definitionARN, LaunchType: launchType, PropagateTags: ecstypes.PropagateTagsTaskDefinition,
		NetworkConfiguration: network(),
	})
	switch {
	case err != nil:
		return ecstypes.Task{}, err
	case len(out.Tasks) != 1:
		return ecstypes.Task{}, fmt.Errorf("run task %s: started %d tasks, failures %+v", definitionARN, len(out.Tasks), out.Failures)
	}
	return out.Tasks[0], nil
}

// Stop asks ECS to stop a task.
func (f *Fleet) Stop(ctx context.Context, taskARN string) error {
	_, err := f.ecs.StopTask(ctx, &ecs.StopTaskInput{Cluster: &f.Cluster, Task: &taskARN})
	return err
}

// Task reads a task anew.
func (f *Fleet) Task(ctx context.Context, taskARN string) (ecstypes.Task, error) {
	out, err := f.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &f.Cluster, Tasks: []string{taskARN}})
	switch {
	case err != nil:
		return ecstypes.Task{}, err
	case len(out.Tasks) != 1:
		return ecstypes.Task{}, fmt.Errorf("describe task %s: failures %+v", taskARN, out.Failures)
	}
	return out.Tasks[0], nil
}

// TaskID is the last part of a task's ARN.
func TaskID(t ecstypes.Task) string { return path.Base(aws.ToString(t.TaskArn)) }

// IPAddress is the address of the task's network interface; "" when it has none.
func IPAddress(t ecstypes.Task) string {
	for _, attachment := range t.Attachments {
		for _, detail := range attachment.Details {
			if aws.ToString(detail.Name) == "privateIPv4Address" {
				return aws.ToString(detail.Value)
			}
		}
	}
	return ""
}

// Upstream is a service that a task calls at a local port.
func Upstream(service string, port int) agentconfig.Upstream {
	return agentconfig.Upstream{DestinationName: service, LocalBindPort: port}
}
