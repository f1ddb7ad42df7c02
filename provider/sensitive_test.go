package provider_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// ruled are the attributes, and the texts, that AWS or Consul prescribe: nobody has a secret there.
var ruled = []string{
	"protocol", "type", "condition", "scope", "ipc_mode", "pid_mode", "cpu_architecture", "operating_system_family", "log_driver", "launch_type", "launch_types", "log_level",
	"mesh_gateway_mode", "ready_gate", "interval", "shutdown_delay", "exclude_outbound_cidrs", "local_bind_address", "local_service_address", "drop", "mount_options", "region",
	"spill", "strategy", "scheduling_strategy", "deployment_controller", "availability_zone_rebalancing", "source_service_revision_cleanup", "target_type", "lifecycle_stages", "action",
	"access_types", "health_check_protocol", "volume_type", "filesystem_type", "resource_type", "propagate_tags", "metric_names",
	"http_address", "namespace", "CMD", "nofile", "subnets", "security_groups", "cluster", "awslogs-region",
}

// referring are the attributes whose texts are the names of containers, volumes and services, which have to be the same everywhere.
var referring = []string{"name", "service", "container_name", "port_name", "source_container", "source_volume", "data_volume"}

// identities are places whose texts name things that AWS shows in every listing. What they name has them in its own name or ARN, and
// computed attributes are there to say so.
var identities = []string{
	"family", "name", "iam path", "kms_key_arns", "first_token_kms_key_arn", // of roles, services and definitions
	"ecs_clusters 0",                                               // in the event rule's pattern
	"image", "container_name", "source_container", "source_volume", // of containers
	"datacenter", "dns_name", // in the name and the addresses of a dev server
	"token_secret_arn", "first_token_secret_arn", "ca_secret_arn", "pull_credentials_secret_arn", "credentials_parameter", "secrets", // references to secrets
	"awslogs-group", "environment_file", "credential_specs", // rights of the execution role name them
	"file_system_arn", "access_point_arn", // of volumes
}

// secretAt is a value for a place that has a text in it and may stand there.
func secretAt(p sweepPlace, was, secret string) string {
	switch p.steps[len(p.steps)-1] {
	case "config", "hook_details":
		return `{"token":"` + secret + `"}`
	default:
		if before, after, ok := strings.Cut(was, embedded); ok {
			return before + embedded + secret + after
		}
		if strings.HasSuffix(was, "/") {
			return was + secret + "/"
		}
		return was + secret
	}
}

// What an author marked sensitive is in no output, wherever it stands: not in what is planned, applied or shown of the computed
// attributes, which follow from it.
func TestSensitiveValuesAreNotShown(t *testing.T) {
	t.Parallel()
	onEveryBinary(t, testSensitiveValues)
}

func testSensitiveValues(t *testing.T, on *binary) {
	c := on.startMoto(t)
	around := c.surroundings(t, "sensitive")
	variables, secrets := fields{}, map[string]string{} // places by secret
	references := map[string]string{}                   // variables, by the name that containers and volumes have in the configuration
	marked := func(resource string, config fields) fields {
		for _, p := range sweepPlaces(config, nil) {
			was, isText := valueIn(config, p).(string)
			if !isText || slices.Contains(ruled, was) || slices.ContainsFunc(p.steps, func(step any) bool { name, _ := step.(string); return slices.Contains(ruled, name) }) {
				continue
			}
			if slices.Contains(p.steps, any("policy_arns")) || slices.Contains(p.steps, any("permissions_boundary")) { // of a policy that exists
				continue
			}
			secret := fmt.Sprintf("hunter-%03d-2", len(secrets))
			variable := fmt.Sprintf("secret%d", len(secrets))
			if slices.Contains(referring, fmt.Sprint(p.steps[len(p.steps)-1])) {
				if references[was] == "" {
					references[was] = variable
				}
				variable = references[was]
			}
			if variables[variable] != nil {
				config = altered(t, config, p, func(holder, step any) { setAt(holder, step, "${var."+variable+"}") })
				continue
			}
			secrets[secret] = resource + "." + p.String()
			variables[variable] = fields{"type": "string", "sensitive": true, "default": secretAt(p, was, secret)}
			config = altered(t, config, p, func(holder, step any) { setAt(holder, step, "${var."+variable+"}") })
		}
		return config
	}
	frame := c.frame(fields{
		"consulecs_mesh_task":  fields{"this": marked("mesh_task", fullMeshTask("sensitive", around)), "that": marked("mesh_task", fullSharing("sensitive-sharing", around)), "several": marked("mesh_task", severalServices("sensitive-several"))},
		"consulecs_dev_server": fields{"this": marked("dev_server", fullDevServer("sensitive-server", around))},
		"consulecs_controller": fields{"this": marked("controller", fullController("sensitive-controller", around)), "that": marked("controller", loggingIn("sensitive-login", around))},
	})
	frame["variable"] = variables
	dir := workDir(t)
	dir.write(t, "main.tf.json", frame)
	tf := on.terraform(t, dir)
	shown := map[string]bool{}
	for _, args := range [][]string{
		{"plan", "-no-color"}, {"plan", "-json"}, {"apply", "-no-color", "-auto-approve", "-state=" + tf.State()}, {"show", "-no-color", tf.State()}, {"plan", "-json", "-destroy", "-state=" + tf.State()},
	} {
		out, err := tf.Output(t.Context(), args...)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(out), "\n") {
			for secret, place := range secrets {
				if strings.Contains(line, secret) {
					shown[place] = true
					if !slices.ContainsFunc(identities, func(part string) bool { return strings.Contains(place+" ", part+" ") }) {
						t.Errorf("%s: %v: %.200s", place, args, line)
					}
				}
			}
		}
	}
	t.Logf("%d places, shown are %v", len(secrets), slices.Sorted(maps.Keys(shown)))
}

func valueIn(config any, p sweepPlace) any {
	for _, step := range p.steps {
		config = valueAt(config, step)
	}
	return config
}
