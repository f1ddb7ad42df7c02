package provider_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/api"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/control"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/quota"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	rows "github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// onLocalECS is the cloud with the local ECS in place of the emulator's, without anything that would run a task: it remembers what it is
// asked for of a service, which the emulator forgets in part.
func (c cloud) onLocalECS(t *testing.T) cloud {
	t.Helper()
	emulator, err := url.Parse(c.url)
	if err != nil {
		t.Fatal(err)
	}
	plane, err := control.New(control.Config{
		Account: names.Account{Region: c.config.Region, ID: "123456789012"}, StateFile: filepath.Join(t.TempDir(), "state.json"), Logger: hclog.NewNullLogger(),
		Run:     func(task engine.Task) { t.Errorf("%s was to run", task.ARN) },
		Stop:    func(string, ecstypes.TaskStopCode, string) {},
		SetTags: func(string, []ecstypes.Tag) {},
		Publish: func(ecstypes.Task, time.Time) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	plane.Start()
	server := httptest.NewServer(api.New(plane, emulator, http.NotFoundHandler(), &quota.Quotas{}, hclog.NewNullLogger()))
	t.Cleanup(func() {
		server.Close()
		plane.Close()
	})
	return cloudAt(server.URL)
}

// keptOfServices are places of a service that this sweep does not remove, by the reason.
var keptOfServices = map[string][]string{
	"the local ECS does not know it":        {"gateway_connector", "deployment lifecycle_hook"},
	"it says what the local ECS knows only": {"deployment_controller", "scheduling_strategy", "deployment strategy"},
	"what is beside it needs it": {
		"volume_configuration", "volume_configuration 0 managed_ebs_volume", "volume_configuration 0 managed_ebs_volume snapshot_id", "service_registry 0 container_name", "service_registry 0 container_port",
		"deployment early_success_criteria healthy_percent", "deployment early_success_criteria source_service_revision_cleanup",
	},
}

func isKeptOfServices(place string) bool {
	for _, kept := range keptOfServices {
		for _, at := range kept {
			if place == at || (at == "gateway_connector" || at == "deployment lifecycle_hook") && strings.HasPrefix(place, at) {
				return true
			}
		}
	}
	return false
}

// Every setting of the fullest services is removed, one at a time: what ECS had of it goes back to the default, and nothing is left to do.
// TestEverySettingCanBeUnset does so with all else, on an emulator that forgets most of a service.
func TestEverySettingOfAServiceCanBeUnset(t *testing.T) {
	t.Parallel()
	on := binaries()[0]
	c := on.startMoto(t).onLocalECS(t)
	around := c.ecsClusterAlone(t, "unset-services")
	schema := resourceSchemas(t)["consulecs_mesh_task"]
	rolling := with(forgotten(fullService("", around)), fields{"gateway_connector": nil})
	rolling["deployment"] = with(rolling["deployment"].(fields), fields{"lifecycle_hook": nil})
	full, unset := fields{}, fields{}
	for i, p := range sweepPlaces(servedTask(rolling), nil) {
		if p.steps[0] != "ecs_service" || rows.IsRequired(schema, problem.Path(p.steps)) || isKeptOfServices(strings.TrimPrefix(p.String(), "ecs_service ")) {
			continue
		}
		name := fmt.Sprintf("s%03d", i)
		task := with(servedTask(with(maps.Clone(rolling), fields{"name": "unset-" + name})), fields{"family": "unset-" + name})
		full[name], unset[name] = task, without(t, task, p)
		t.Logf("%s: %s", name, p)
	}
	if len(full) < 50 {
		t.Errorf("%d places are unset", len(full))
	}
	dir := workDir(t)
	tf := on.terraform(t, dir)
	for _, resources := range []fields{full, unset} {
		dir.write(t, "main.tf.json", c.frame(tasks(resources)))
		if _, err := tf.Output(t.Context(), "apply", "-auto-approve", "-input=false", "-no-color", "-refresh=false", "-state="+tf.State()); err != nil {
			t.Fatal(err)
		}
	}
	nothingToDo(t, tf)
}

// What ECS tells of a service revision alone is read back where a block says it: a change made elsewhere shows and is undone, and an
// import has it. Whoever may not ask for it does without.
func TestWhatARevisionTellsOfAServiceIsReadBack(t *testing.T) {
	t.Parallel()
	on := binaries()[0]
	c := on.startMoto(t).onLocalECS(t)
	around := c.ecsClusterAlone(t, "revealed")
	proxy := awsfault.Start(t, c.url)
	measured := func(seconds int32) *ecstypes.MonitoringConfiguration {
		return &ecstypes.MonitoringConfiguration{MetricConfigurations: []ecstypes.MetricConfiguration{{MetricNames: []string{"CPUUtilization"}, ResolutionSeconds: &seconds}}}
	}
	task := meshTask(fields{"family": "revealed", "task": fields{"launch_types": []any{"EC2"}}, "ecs_service": fields{
		"cluster": around.ecsCluster, "desired_count": 0, "launch_type": "EC2", "subnets": []any{around.subnet}, "security_groups": []any{around.group},
		"monitoring": fields{"metric_configuration": []any{fields{"metric_names": []any{"CPUUtilization"}, "resolution_seconds": 20}}},
	}})
	dir := workDir(t)
	tf := on.terraform(t, dir)
	dir.write(t, "main.tf.json", cloudAt(proxy.URL).frame(tasks(fields{"revealed": task})))
	for range 2 {
		if err := tf.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.awaitRolledOut(t, around.ecsCluster, "revealed")
		nothingToDo(t, tf)
		if _, err := c.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: &around.ecsCluster, Service: aws.String("revealed"), Monitoring: measured(60)}); err != nil {
			t.Fatal(err)
		}
		c.awaitRolledOut(t, around.ecsCluster, "revealed")
		if changes, err := tf.PlanChanges(t.Context()); err != nil || len(changes) != 1 {
			t.Errorf("a change of the metrics shows as %v, %v", changes, err)
		}
	}
	proxy.Inject(awsfault.Rule{Action: "DescribeServiceRevisions", Times: 100, Fault: awsfault.Refuse(400, "AccessDeniedException", "User is not authorized to perform: ecs:DescribeServiceRevisions")})
	nothingToDo(t, tf)
	if _, err := c.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: &around.ecsCluster, Service: aws.String("revealed"), Monitoring: measured(20)}); err != nil {
		t.Fatal(err)
	}
	c.awaitRolledOut(t, around.ecsCluster, "revealed")
	p := speak(t)
	p.configure(t, c.ours())
	imported, said := p.imported(t, "consulecs_mesh_task", around.ecsCluster[strings.LastIndexByte(around.ecsCluster, '/')+1:]+"/revealed", nil)
	if said != "" {
		t.Fatal(said)
	}
	if service := attributesOf(t, imported.state, p.block("consulecs_mesh_task"))["ecs_service"]; !strings.Contains(service.String(), `"resolution_seconds":tftypes.Number<"20">`) {
		t.Errorf("imported is %s", service)
	}
	unknown := awsfault.Start(t, c.url) // an endpoint that does not have the call
	unknown.Inject(awsfault.Rule{Action: "DescribeServiceRevisions", Times: 100, Fault: awsfault.Refuse(400, "UnknownOperationException", "x")})
	p.configure(t, cloudAt(unknown.URL).ours())
	q := asked{resource: "consulecs_mesh_task", typ: p.block("consulecs_mesh_task").ValueType(), was: imported}
	if kept := q.refresh(t, p); kept.isError || !strings.Contains(kept.value.String(), `"resolution_seconds":tftypes.Number<"20">`) {
		t.Errorf("without the call, refreshed is %s: %s", kept.value, kept.said)
	}
	refusing := awsfault.Start(t, c.url)
	refusing.Inject(awsfault.Rule{Action: "DescribeServiceRevisions", Times: 100, Fault: awsfault.Refuse(400, "InvalidParameterException", "x")})
	p.configure(t, cloudAt(refusing.URL).ours())
	if _, said := p.imported(t, "consulecs_mesh_task", around.ecsCluster[strings.LastIndexByte(around.ecsCluster, '/')+1:]+"/revealed", nil); said != "" {
		t.Errorf("while ECS refuses the call, an import says %s", said)
	}
}

// awaitRolledOut waits until all tasks of a service are of one revision.
func (c cloud) awaitRolledOut(t *testing.T, ecsCluster, name string) {
	t.Helper()
	eventually.True(t, "one deployment, completed", time.Minute, func() bool {
		is, err := c.ecs.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: &ecsCluster, Services: []string{name}})
		if err != nil {
			t.Fatal(err)
		}
		all := is.Services[0].Deployments
		return len(all) == 1 && all[0].RolloutState == ecstypes.DeploymentRolloutStateCompleted
	})
}
