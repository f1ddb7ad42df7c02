package provider_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider"
	rows "github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// kept are places that the sweep does not remove, though no schema asks for them, by the reason.
var kept = map[string][]string{
	"a task needs it": {"service", "service port", "container", "service 0", "service 0 port", "service 1 name", "service 1 port"},
	"a path needs it": {
		"proxy expose path 0 listener_port", "proxy expose path 0 local_path_port", "proxy expose path 0 path",
		"service 1 proxy expose path 0 listener_port", "service 1 proxy expose path 0 local_path_port", "service 1 proxy expose path 0 path",
	},
	"what is beside it needs it": {
		"transparent_proxy enabled", "names enabled", "locality prefer_zone", "container 0 entry_point", "container 1 essential", "task", "task volume",
		"container 0 resource_requirement 0 sharing_strategy", "container 0 resource_requirement 0 sharing_strategy nvidia_mps",
	},
	"without it there is FARGATE, which has less": {"task launch_types"},
	"an empty set says nothing":                   {"task launch_types 0", "controller task launch_types 0", "controller subnets 0"},
	"rights come from somewhere":                  {"consulecs_controller token_secret_arn", "controller token_secret_arn", "l login", "l login enabled", "l first_token_secret_arn"},
	"roles are not moved":                         {"iam path", "controller iam", "controller iam path"},
	"awslogs needs it":                            {"options", "options awslogs-group"}, // of every log_configuration
	"it waits until it is steady, as the emulator's never is": {
		"controller desired_count", "consulecs_controller wait_for_steady_state", "consulecs_controller iam", "consulecs_controller iam task_role", "consulecs_controller iam task_role name", "consulecs_controller iam execution_role", "consulecs_controller iam execution_role name",
		"consulecs_dev_server wait_for_steady_state", "consulecs_dev_server iam", "consulecs_dev_server iam task_role", "consulecs_dev_server iam task_role name", "consulecs_dev_server iam execution_role", "consulecs_dev_server iam execution_role name",
	},
}

// Every setting of the fullest configurations is removed, one at a time: what AWS had of it goes back to the default, and nothing
// is left to do.
func TestEverySettingCanBeUnset(t *testing.T) {
	t.Parallel()
	onEveryBinary(t, unsetEverySetting)
}

func unsetEverySetting(t *testing.T, on *binary) {
	c := on.startMoto(t)
	around := c.surroundings(t, "sweep-unset")
	schemas := resourceSchemas(t)
	full, unset := fields{}, fields{}
	for _, s := range append(subjects(around), onFargate(around)) {
		if s.initial == toForget { // see TestEverySettingOfAServiceCanBeUnset
			continue
		}
		before, after := with(fields{}, fieldsAt(full, s.resource)), with(fields{}, fieldsAt(unset, s.resource))
		for i, p := range s.places() {
			if rows.IsRequired(schemas[s.resource], problem.Path(p.steps)) || isKept(s, p) {
				continue
			}
			name := fmt.Sprintf("%s%03d", s.initial, i)
			before[name] = s.config("unset-" + name)
			after[name] = without(t, s.config("unset-"+name), p)
			t.Logf("%s.%s: %s", s.resource, name, p)
		}
		full[s.resource], unset[s.resource] = before, after
	}
	frame := func(resources fields) fields {
		all := c.frame(resources)
		with(all["provider"].(fields)["consulecs"].(fields), fields{"agent_image": "agent:2", "consul_servers": fields{"hosts": "other.example.com"}})
		return all
	}
	for _, part := range parts(full) {
		dir := workDir(t)
		tf := on.terraform(t, dir)
		dir.write(t, "main.tf.json", frame(part))
		if err := tf.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.remember(t, around.ecsCluster, fieldsAt(part, "consulecs_mesh_task"))
		dir.write(t, "main.tf.json", frame(sameOf(unset, part)))
		if _, err := tf.Output(t.Context(), "apply", "-auto-approve", "-input=false", "-no-color", "-refresh=false", "-state="+tf.State()); err != nil {
			t.Fatal(err)
		}
		nothingToDo(t, tf)
	}
}

// sameOf are those of the resources that a part has, too.
func sameOf(resources, part fields) fields {
	same := fields{}
	for kind, variants := range part {
		of := fields{}
		for name := range variants.(fields) {
			of[name] = fieldsAt(resources, kind)[name]
		}
		same[kind] = of
	}
	return same
}

func fieldsAt(all fields, key string) fields {
	below, _ := all[key].(fields)
	return below
}

func isKept(s subject, p sweepPlace) bool {
	at := p.String()
	_, inLog, _ := strings.Cut(at, "log_configuration ")
	for _, places := range kept {
		for _, place := range places {
			if place == at || place == s.resource+" "+at || place == s.initial+" "+at || place == inLog {
				return true
			}
		}
	}
	return false
}

// without is a copy from which a place is gone.
func without(t *testing.T, object fields, p sweepPlace) fields {
	t.Helper()
	last := len(p.steps) - 1
	if i, isElement := p.steps[last].(int); isElement {
		return altered(t, object, sweepPlace{steps: p.steps[:last]}, func(holder, step any) {
			setAt(holder, step, slices.Delete(valueAt(holder, step).([]any), i, i+1))
		})
	}
	return altered(t, object, p, func(holder, step any) { delete(holder.(fields), step.(string)) })
}

func resourceSchemas(t *testing.T) map[string]schema.Schema {
	t.Helper()
	all := map[string]schema.Schema{}
	for _, newResource := range provider.New("test")().Resources(t.Context()) {
		var name resource.MetadataResponse
		var is resource.SchemaResponse
		newResource().Metadata(t.Context(), resource.MetadataRequest{}, &name)
		newResource().Schema(t.Context(), resource.SchemaRequest{}, &is)
		all[name.TypeName] = is.Schema
	}
	return all
}

// onFargate has what a service has only on Fargate, or where it asks for capacity providers.
func onFargate(at surroundings) subject {
	return subject{"consulecs_mesh_task", "p", func(name string) fields {
		return meshTask(fields{"family": name, "service": fields{"port": 9090}, "ecs_service": fields{
			"cluster": at.ecsCluster, "desired_count": 0, "subnets": []any{at.subnet}, "security_groups": []any{at.group}, "assign_public_ip": true, "platform_version": "1.4.0",
			"capacity_provider_strategy": []any{fields{"capacity_provider": "FARGATE_SPOT", "base": 1, "weight": 2}},
		}})
	}, []string{"ecs_service"}}
}

// remember tells the emulator what it forgot of the services when it made them.
func (c cloud) remember(t *testing.T, ecsCluster string, tasks fields) {
	t.Helper()
	for name := range tasks {
		input := &ecs.UpdateServiceInput{Cluster: &ecsCluster, Service: aws.String("unset-" + name)}
		switch name[:1] {
		case "e":
			input.DeploymentConfiguration = &ecstypes.DeploymentConfiguration{
				MinimumHealthyPercent: aws.Int32(50), MaximumPercent: aws.Int32(150), DeploymentCircuitBreaker: &ecstypes.DeploymentCircuitBreaker{Enable: true, Rollback: true},
			}
		case "p":
			input.CapacityProviderStrategy = []ecstypes.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE_SPOT"), Base: 1, Weight: 2}}
		default:
			continue
		}
		if _, err := c.ecs.UpdateService(t.Context(), input); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}
