package doctor

import (
	"cmp"
	"context"
	"fmt"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

func (f *facts) lookConfig(context.Context) Finding {
	cfg, err := agentenv.Load(f.getenv)
	if err != nil {
		return failed(err, "correct the configuration at the paths named; docs/agent-config.schema.json is its schema")
	}
	settings, err := consul.SettingsOf(cfg, taskmeta.Task{}, f.getenv)
	if err != nil {
		return failed(err, "see the secrets of the container's definition: the variable wants the CA of Consul's servers")
	}
	f.cfg, f.settings = cfg, settings
	service := cfg.ServiceSettings("")
	name := service.Name
	if name == "" {
		name = "named as the task family"
	}
	return ok("service %s, port %d", name, service.Port)
}

func (f *facts) lookTrust(context.Context) Finding {
	grpc, err := f.settings.Trust(consul.PortGRPC)
	if err != nil {
		return failed(err, "give the CA of Consul's servers in "+mesh.VariableGRPCCACert+", or a file that exists")
	}
	http, err := f.settings.Trust(consul.PortHTTP)
	if err != nil {
		return failed(err, "give the CA of Consul's servers in "+mesh.VariableHTTPSCACert+", or a file that exists")
	}
	return ok("gRPC: %s, HTTP: %s", grpc, http)
}

func (f *facts) lookMetadata(ctx context.Context) Finding {
	endpoint, err := taskmeta.New(f.getenv(taskmeta.Variable))
	if err != nil {
		return failed(err, "run the doctor in a container of the task")
	}
	task, err := endpoint.Details(ctx)
	if err != nil {
		return failed(err, "run the doctor in a container of the task; ECS serves the metadata at a link-local address, to which no proxy and no rule may stand in the way")
	}
	f.metadata, f.task = endpoint, &task
	return taskFinding(task)
}

func taskFinding(task taskmeta.Details) Finding {
	found := fmt.Sprintf("%s, family %s, %s", task.ARN, task.Family, task.KnownStatus)
	if task.DesiredStatus == taskmeta.StatusStopped {
		return warn(found+", but ECS stops it", "the ECS service's events and the task's stopped reason say why")
	}
	return ok("%s", found)
}

func (f *facts) lookAddress(context.Context) Finding {
	r, err := consul.NewRegistration(f.cfg, f.task.Task, f.getenv("AWS_REGION"))
	if err != nil {
		return failed(err, "")
	}
	f.registration = &r
	family := "IPv4"
	if f.task.Address.Is6() {
		family = "IPv6"
	}
	return ok("%s (%s)", f.task.Address, family)
}

func (f *facts) lookLaunchType(context.Context) Finding {
	return launchFinding(f.task.LaunchType, f.cfg.RedirectsTraffic())
}

// launchFinding decides whether a launch type allows what the configuration asks for.
func launchFinding(launchType string, redirects bool) Finding {
	switch {
	case launchType == "FARGATE" && redirects:
		return fail("FARGATE, which does not grant NET_ADMIN, and transparentProxy.enabled is true",
			"run the task on EC2 or managed instances, or set transparentProxy.enabled to false and names.enabled to true, or list its upstreams")
	case launchType == "EXTERNAL":
		return fail("EXTERNAL, which has no network mode awsvpc", "run the task on Fargate, EC2 or managed instances")
	case launchType == "":
		return ok("the metadata do not say")
	}
	return ok("%s", launchType)
}

func (f *facts) lookTaskTags(ctx context.Context) Finding {
	tags, err := f.metadata.Tags(ctx)
	if err != nil {
		return warn(err.Error(), "look at the task's tags in ECS: "+mesh.TaskTagMesh+" has to be among them")
	}
	return taskTagsFinding(tags, f.service())
}

// taskTagsFinding decides whether controllers, ours and the incumbent's, know the task for one of the mesh.
func taskTagsFinding(tags taskmeta.Tags, service agentconfig.Service) Finding {
	if tags.Problem != "" && tags.Values == nil {
		return warn("the ECS agent cannot read them: "+tags.Problem, "allow the role of the container instance ecs:ListTagsForResource, or look at the task's tags in ECS")
	}
	const propagate = `set propagate_tags = "TASK_DEFINITION" on the ECS service (propagateTags of RunTask), and keep the tags that the task definition has for the mesh`
	if got := tags.Values[mesh.TaskTagMesh]; got != "true" {
		return fail(fmt.Sprintf("%s is %q, want \"true\": the tags of the task definition have not reached the task", mesh.TaskTagMesh, got), propagate)
	}
	for _, tag := range []struct{ key, want string }{
		{mesh.TaskTagPartition, service.Partition}, {mesh.TaskTagNamespace, service.Namespace},
	} {
		if got := tags.Values[tag.key]; !sameScope(got, tag.want) {
			return fail(fmt.Sprintf("%s is %q, but the configuration says %q", tag.key, got, tag.want), propagate)
		}
	}
	if got := tags.Values[mesh.TaskTagServiceName]; got != "" && got != service.Name {
		return warn(fmt.Sprintf("%s is %q, but the service is %q", mesh.TaskTagServiceName, got, service.Name), "set the tag of the task definition to the service's name")
	}
	return ok("%s is \"true\"", mesh.TaskTagMesh)
}

// sameScope compares names of admin partitions or of namespaces; none means Consul's default.
func sameScope(a, b string) bool {
	const standard = "default"
	return cmp.Or(a, standard) == cmp.Or(b, standard)
}

// service is the service section with its name, "" where only the metadata would tell it.
func (f *facts) service() agentconfig.Service {
	family := ""
	if f.task != nil {
		family = f.task.Family
	}
	return f.cfg.ServiceSettings(family)
}
