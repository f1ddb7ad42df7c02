package provider_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// fullProvider is a provider's configuration with something of everything that has a default for resources.
func fullProvider() fields {
	const secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:"
	port := func(n int) fields { return fields{"port": n, "tls": true, "server_name": "server.dc1.consul"} }
	return fields{
		"max_retries": 5, "retry_mode": "standard", "default_tags": fields{"tags": fields{"team": "mesh"}}, "agent_image": "agent:1", "iam_role_path": "/consul-ecs/x/",
		"log_configuration": fields{
			"log_driver": "awslogs", "options": fields{"awslogs-group": "/mesh", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "mesh"}, "secret_options": fields{"x": secret + "x"},
		},
		"consul_servers": fields{
			"hosts": "consul.example.com", "skip_server_watch": true, "http": port(8501), "grpc": port(8503),
			"tls": fields{"enabled": true, "server_name": "server.dc1.consul", "ca_secret_arn": secret + "ca", "grpc_ca_secret_arn": secret + "grpc", "https_ca_secret_arn": secret + "https", "ca_file": "/ca.pem"},
		},
		"login": fields{
			"enabled": true, "auth_method": "iam", "datacenter": "dc1", "include_entity": true, "meta": fields{"a": "b"}, "region": "us-east-1",
			"sts_endpoint": "https://sts.us-east-1.amazonaws.com", "iam_endpoint": "https://iam.amazonaws.com", "server_id_header": "x",
		},
	}
}

// whichAWS are the settings that decide which AWS is meant, and as whom it is spoken to. Nothing can be planned without it.
func whichAWS(c cloud) fields {
	return fields{
		"region": "us-east-1", "profile": "x", "assume_role": fields{"role_arn": "arn:aws:iam::123456789012:role/x", "session_name": "x", "external_id": "x", "duration": "15m"},
		"endpoints":                     fields{"ecs": c.url, "iam": c.url, "sts": c.url, "secretsmanager": c.url, "sqs": c.url, "events": c.url},
		"assume_role_with_web_identity": fields{"role_arn": "arn:aws:iam::123456789012:role/x", "session_name": "x", "web_identity_token": "x", "duration": "1h"},
		"shared_config_files":           []any{"/none"}, "shared_credentials_files": []any{"/none"}, "use_fips_endpoint": false, "use_dualstack_endpoint": false,
		"allowed_account_ids": []any{"123456789012"}, "ignore_tags": fields{"keys": []any{"a"}, "key_prefixes": []any{"b"}},
	}
}

// writeProviders writes a configuration for each place of a provider's block that is known later: a provider, and one of each
// resource that has all it can from there.
func writeProviders(t *testing.T, dir configDir, c cloud, at surroundings, block fields) []sweepPlace {
	t.Helper()
	places, values := sweepPlaces(block, nil), fields{}
	for i, p := range places {
		name := fmt.Sprintf("p%03d", i)
		provider, was := replaced(t, block, p, "${terraform_data.later.output."+name+"}")
		values[name] = was
		for key, known := range c.frame(nil)["provider"].(fields)["consulecs"].(fields) {
			if _, has := block[key]; !has {
				provider[key] = known
			}
		}
		provider["alias"] = name
		from := fields{"provider": "consulecs." + name, "consul_servers": nil, "sidecars": nil, "image": nil}
		dir.write(t, name+".tf.json", fields{
			"provider": fields{"consulecs": provider},
			"resource": fields{
				"consulecs_mesh_task": fields{name: with(meshTask(fields{"family": "provider-" + name}), from)},
				"consulecs_controller": fields{name: with(controller(fields{
					"name": "control-" + name, "cluster": at.ecsCluster, "subnets": []any{at.subnet}, "security_groups": []any{at.group}, "wait_for_steady_state": false,
				}), from)},
			},
		})
		t.Logf("%s: %s", name, p)
	}
	dir.write(t, "frame.tf.json", fields{"terraform": requirements(), "resource": fields{"terraform_data": fields{"later": fields{"input": values}}}})
	return places
}

// Every place of the provider's own block is known only after the apply of something else, one at a time: what was planned holds,
// and nothing is left to do.
func TestEveryValueOfTheProviderMayBeKnownLater(t *testing.T) {
	t.Parallel()
	onEveryBinary(t, func(t *testing.T, on *binary) {
		c, dir := on.startMoto(t), workDir(t)
		writeProviders(t, dir, c, c.surroundings(t, "provider-later"), fullProvider())
		tf := on.terraform(t, dir)
		if err := tf.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		nothingToDo(t, tf)
	})
}

// Which AWS is meant has to be known: each of its settings is refused by its name, with what to do.
func TestWhichAWSIsMeantHasToBeKnown(t *testing.T) {
	t.Parallel()
	onEveryBinary(t, func(t *testing.T, on *binary) {
		c, dir := on.startMoto(t), workDir(t)
		places := writeProviders(t, dir, c, c.surroundings(t, "provider-refused"), whichAWS(c))
		said := planErrors(t, on.terraform(t, dir))
		for i, p := range places {
			file := fmt.Sprintf("p%03d.tf.json", i)
			refused := func(d testenv.Diagnostic) bool {
				return d.Range.Filename == file && d.Summary == "Provider setting not known" && strings.Contains(d.Detail, "a resource that does not exist yet") &&
					strings.HasPrefix(strings.NewReplacer(".", " ", "[0]", "").Replace(d.Detail), strings.TrimSuffix(p.String(), " 0")+" ") // of a block, what is in it; of a set, the whole
			}
			if !slices.ContainsFunc(said, refused) {
				t.Errorf("%s is not refused: %+v", p, said)
			}
		}
	})
}

// planErrors are the diagnostics of a plan that fails.
func planErrors(t *testing.T, tf *testenv.Terraform) []testenv.Diagnostic {
	t.Helper()
	out, err := tf.Output(t.Context(), "plan", "-json", "-input=false", "-state="+tf.State())
	if err == nil {
		t.Fatal("the plan does not fail")
	}
	var all []testenv.Diagnostic
	for text := bufio.NewScanner(bytes.NewReader(out)); text.Scan(); {
		var line struct{ Diagnostic *testenv.Diagnostic }
		if err := json.Unmarshal(text.Bytes(), &line); err == nil && line.Diagnostic != nil {
			all = append(all, *line.Diagnostic)
		}
	}
	return all
}
