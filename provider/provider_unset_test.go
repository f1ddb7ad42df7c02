package provider_test

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// An empty text in a resource means none, where the provider sets something: what is planned is what a provider that sets nothing
// would have planned.
func TestAResourceUnsetsWhatTheProviderSets(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	const secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:ca"
	log := fields{"log_driver": "awslogs", "options": fields{"awslogs-group": "/mesh", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "mesh"}}
	authMethod := fields{"auth_method": "other", "sts_endpoint": "https://sts.example.com", "iam_endpoint": "https://iam.example.com", "server_id_header": "x"}
	settings := fields{
		"iam_role_path": "/elsewhere/", "log_configuration": log,
		"login":          with(fields{"enabled": true, "datacenter": "dc9", "region": "eu-west-1", "meta": fields{"a": "b"}}, authMethod),
		"consul_servers": fields{"hosts": "consul.example.com", "tls": fields{"server_name": "server.dc1.consul", "ca_secret_arn": secret, "ca_file": "/ca.pem"}, "http": fields{"port": 8501, "server_name": "http.dc1.consul"}},
	}
	none := func(of fields) fields {
		unset := maps.Clone(of)
		for key, value := range unset {
			if _, text := value.(string); text {
				unset[key] = ""
			}
		}
		return unset
	}
	noServers := fields{"hosts": "consul.example.com", "tls": fields{"server_name": "", "ca_secret_arn": "", "ca_file": ""}, "http": fields{"port": 8501, "server_name": ""}}
	noLog := fields{"log_driver": ""}
	task := meshTask(fields{"family": "unset", "consul_servers": fields{"hosts": "consul.example.com", "http": fields{"port": 8501}}, "login": fields{"enabled": true}})
	control := controller(fields{"name": "unset-controller", "consul_servers": fields{"hosts": "consul.example.com", "http": fields{"port": 8501}}})
	noLogin := with(none(authMethod), fields{"enabled": true, "datacenter": "", "region": "", "meta": fields{}})
	onlyDataplane := with(maps.Clone(task), fields{"family": "unset-one", "sidecars": fields{"image": "agent:1", "log_configuration": log, "dataplane": fields{"log_configuration": noLog}}})
	bare := c.planned(t, nil, fields{"consulecs_mesh_task": fields{"this": task}, "consulecs_controller": fields{"this": control}})
	unset := c.planned(t, settings, fields{
		"consulecs_mesh_task": fields{
			"this":  with(maps.Clone(task), fields{"consul_servers": noServers, "login": noLogin, "iam": fields{"path": ""}, "sidecars": fields{"image": "agent:1", "log_configuration": noLog}}),
			"other": onlyDataplane,
		},
		"consulecs_controller": fields{"this": with(maps.Clone(control), fields{"consul_servers": noServers, "login": none(authMethod), "iam_role_path": "", "log_configuration": noLog})},
	})
	for address, want := range bare {
		for name, value := range want {
			if strings.HasPrefix(name, "rendered_") || strings.HasSuffix(name, "_json") || strings.HasSuffix(name, "_arn") || name == "content_hash" {
				if diff := cmp.Diff(value, unset[address][name]); diff != "" {
					t.Errorf("%s.%s: want -, got +:\n%s", address, name, diff)
				}
			}
		}
	}
	containers, _ := unset["consulecs_mesh_task.other"]["rendered_container_definitions_json"].(map[string]any)
	for _, name := range []string{"consul-dataplane", "consul-ecs-health-sync"} {
		text, _ := containers[name].(string)
		if logs := strings.Contains(text, "logConfiguration"); text == "" || logs != (name != "consul-dataplane") {
			t.Errorf("%s logs: %v, in %q", name, logs, text)
		}
	}
}

// planned is what a plan makes of resources, by their addresses.
func (c cloud) planned(t *testing.T, settings, resources fields) map[string]map[string]any {
	t.Helper()
	frame := c.frame(resources)
	maps.Copy(frame["provider"].(fields)["consulecs"].(fields), settings)
	dir := workDir(t)
	dir.write(t, "main.tf.json", frame)
	return plannedBy(t, dir.terraform(t))
}

// plannedBy is what a plan makes of resources, by their addresses.
func plannedBy(t *testing.T, tf *testenv.Terraform) map[string]map[string]any {
	t.Helper()
	plan := filepath.Join(t.TempDir(), "plan")
	if _, err := tf.Output(t.Context(), "plan", "-input=false", "-no-color", "-state="+tf.State(), "-out="+plan); err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]any{}
	for _, r := range shownIn(t, tf, plan) {
		all[r.Address] = r.Values
	}
	return all
}

// What is required cannot be unset.
func TestRequiredSettingsCannotBeUnset(t *testing.T) {
	t.Parallel()
	checkRows(t, "consulecs_mesh_task", map[string]row{
		"no image":              {meshTask(fields{"sidecars": fields{"image": ""}}), "sidecars.image | is missing"},
		"no hosts":              {meshTask(fields{"consul_servers": fields{"hosts": ""}}), "consul_servers.hosts | is empty"},
		"no logs":               {meshTask(fields{"sidecars": fields{"image": "agent:1", "log_configuration": fields{"log_driver": ""}}}), ""},
		"options of no driver":  {meshTask(fields{"sidecars": fields{"image": "agent:1", "log_configuration": fields{"log_driver": "", "options": fields{"a": "b"}}}}), `sidecars.log_configuration.log_driver | is ""`},
		"no logs of a user's":   {meshTask(fields{"container": container(fields{"log_configuration": fields{"log_driver": ""}})}), "log_configuration.log_driver | value must be one of"},
		"no role path":          {meshTask(fields{"iam": fields{"path": ""}}), ""},
		"no endpoint, no group": {meshTask(fields{"login": fields{"enabled": true, "sts_endpoint": "", "iam_endpoint": ""}, "consul_servers": fields{"hosts": "a.example.com", "tls": fields{"ca_secret_arn": ""}}}), ""},
	})
	checkRows(t, "consulecs_controller", map[string]row{
		"no image": {controller(fields{"image": ""}), "image | is missing"},
		"no path":  {controller(fields{"iam_role_path": ""}), ""},
	})
}
