package provider_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A value that is not known yet hides what follows from it in the plan, and nothing else: one container where it is one's own.
func TestAnUnknownValueHidesWhatFollowsFromIt(t *testing.T) {
	t.Parallel()
	const all = "all of them"
	injected := []string{"consul-dataplane", "consul-ecs-health-sync", "consul-ecs-mesh-init", "consul-ecs-mesh-ready"}
	sidecars := func(changes fields) fields {
		return meshTask(fields{"sidecars": with(fields{"image": "agent:1"}, changes)})
	}
	log := fields{"log_driver": "awslogs", "options": fields{"awslogs-group": later, "awslogs-region": "us-east-1", "awslogs-stream-prefix": "x"}}
	rows := map[string]struct {
		provider, config fields
		containers       []string // that are hidden
		roles, agents    bool     // whether the roles and the agents' configuration are
	}{
		"a container's image":            {nil, meshTask(fields{"container": container(fields{"image": later})}), []string{"app"}, true, false},
		"a container's stop timeout":     {nil, meshTask(fields{"container": container(fields{"stop_timeout": later})}), []string{all}, true, true},
		"every sidecar's image":          {nil, sidecars(fields{"image": later}), injected, true, false},
		"every sidecar's log":            {nil, sidecars(fields{"log_configuration": log}), injected, true, false},
		"the provider's image":           {fields{"agent_image": later}, sidecars(fields{"image": nil}), injected, true, false},
		"the provider's log":             {fields{"log_configuration": log}, sidecars(nil), injected, true, false},
		"one sidecar's image":            {nil, sidecars(fields{"dataplane": fields{"image": later}}), []string{"consul-dataplane"}, true, false},
		"one sidecar's variable":         {nil, sidecars(fields{"health_sync": fields{"environment": fields{"A": later}}}), []string{"consul-ecs-health-sync"}, false, false},
		"one sidecar's memory":           {nil, sidecars(fields{"mesh_init": fields{"memory": later}}), []string{"consul-ecs-mesh-init"}, false, false},
		"one sidecar":                    {nil, sidecars(fields{"dynamic": fields{"mesh_ready": fields{"for_each": "${split(\",\", terraform_data.later.output)}", "content": fields{"image": "x"}}}}), []string{"consul-ecs-mesh-ready"}, true, false},
		"a sidecar that there is not":    {nil, sidecars(fields{"ready_gate": "off", "mesh_ready": fields{"image": later}}), nil, true, false},
		"the dataplane's stop timeout":   {nil, sidecars(fields{"dataplane": fields{"stop_timeout": later}}), []string{all}, true, true},
		"a shared controller's token":    {nil, with(sharing("x", surroundings{ecsCluster: "none", subnet: "subnet-1", group: "sg-1"}, fields{"token_secret_arn": later}), fields{"sidecars": fields{"image": "agent:1"}}), nil, false, false},
		"health-sync's own stop timeout": {nil, sidecars(fields{"health_sync": fields{"stop_timeout": later}}), []string{"consul-ecs-health-sync"}, false, false},
	}
	dir, c := workDir(t), startMoto(t)
	dir.write(t, "frame.tf.json", c.frame(fields{"terraform_data": fields{"later": fields{"input": "30"}}}))
	names := slices.Sorted(maps.Keys(rows))
	for i, name := range names {
		r, id := rows[name], fmt.Sprintf("r%03d", i)
		r.config["provider"] = "consulecs." + id
		r.config["family"] = "hidden-" + id
		provider := with(fields{"alias": id}, c.frame(nil)["provider"].(fields)["consulecs"].(fields))
		dir.write(t, id+".tf.json", fields{
			"provider": fields{"consulecs": with(provider, r.provider)},
			"resource": fields{"consulecs_mesh_task": fields{id: r.config}},
		})
	}
	tf := dir.terraform(t)
	plan := filepath.Join(t.TempDir(), "plan")
	if _, err := tf.Output(t.Context(), "plan", "-input=false", "-no-color", "-state="+tf.State(), "-out="+plan); err != nil {
		t.Fatal(err)
	}
	text, err := tf.Output(t.Context(), "show", "-json", plan)
	if err != nil {
		t.Fatal(err)
	}
	hidden := hiddenIn(t, text)
	for i, name := range names {
		r, is := rows[name], hidden[fmt.Sprintf("r%03d", i)]
		var containers []string
		switch shown := is["rendered_container_definitions_json"].(type) {
		case bool:
			containers = []string{all}
		case fields:
			containers = slices.Sorted(maps.Keys(shown))
		}
		if diff := cmp.Diff(r.containers, containers); diff != "" {
			t.Errorf("%s hides containers (-want +got):\n%s", name, diff)
		}
		if roles, agents := is["rendered_roles_json"] == true, is["agent_config_json"] == true; roles != r.roles || agents != r.agents {
			t.Errorf("%s: roles are hidden: %t, the agents' configuration: %t; want %t, %t", name, roles, agents, r.roles, r.agents)
		}
	}
}

// hiddenIn are the values of a plan, as JSON, that are known after the apply, by the name of the mesh task.
func hiddenIn(t *testing.T, plan []byte) map[string]fields {
	t.Helper()
	var document struct {
		Changes []struct {
			Name   string
			Change struct {
				After fields `json:"after_unknown"`
			}
		} `json:"resource_changes"`
	}
	if err := json.Unmarshal(plan, &document); err != nil {
		t.Fatal(err)
	}
	by := map[string]fields{}
	for _, change := range document.Changes {
		by[change.Name] = change.Change.After
	}
	return by
}
