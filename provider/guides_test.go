package provider_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
)

// moduleVariables are those of the incumbent's modules (0.10), by the heading of the guide's table.
var moduleVariables = map[string]string{
	"mesh-task: variables": `family consul_service_name consul_service_tags consul_service_meta consul_namespace consul_partition
		requires_compatibilities cpu memory volumes create_task_role create_execution_role task_role execution_role iam_role_path
		additional_task_role_policies additional_execution_role_policies skip_server_watch port outbound_only consul_ecs_image
		consul_dataplane_image envoy_public_listener_port envoy_readiness_port log_configuration container_definitions
		consul_server_hosts upstreams service_token_auth_method_name tags tls tls_server_name ca_cert_file consul_ca_cert_arn
		consul_grpc_ca_cert_arn consul_https_ca_cert_arn acls application_shutdown_delay_seconds consul_ecs_config http_config
		grpc_config enable_transparent_proxy enable_consul_dns exclude_inbound_ports exclude_outbound_ports exclude_outbound_cidrs
		exclude_uids`,
	"mesh-task: outputs": `task_definition_arn task_role_id execution_role_id task_role_arn execution_role_arn task_tags`,
	"controller: variables": `consul_ecs_image ecs_cluster_arn region subnets consul_server_hosts name_prefix
		consul_bootstrap_token_secret_arn requires_compatibilities launch_type log_configuration iam_role_path skip_server_watch
		assign_public_ip tls consul_partitions_enabled consul_partition tls_server_name consul_ca_cert_arn consul_grpc_ca_cert_arn
		consul_https_ca_cert_arn security_groups additional_execution_role_policies http_config grpc_config`,
	"gateway-task": `kind gateway_count ecs_cluster_arn launch_type consul_image lan_address wan_address lan_port wan_port
		enable_mesh_gateway_wan_federation security_groups subnets assign_public_ip lb_enabled lb_vpc_id lb_subnets
		lb_ingress_rule_cidr_blocks lb_create_security_group lb_modify_security_group lb_modify_security_group_id
		custom_load_balancer_config extra_container_definitions lb_security_group_id`,
	"dev-server": `ecs_cluster_arn subnet_ids vpc_id requires_compatibilities cpu memory launch_type assign_public_ip consul_image
		consul_license log_configuration name tags wait_for_steady_state consul_server_startup_timeout lb_enabled lb_subnets
		lb_ingress_rule_cidr_blocks lb_ingress_rule_security_groups service_discovery_namespace datacenter node_name
		additional_dns_names tls generate_ca ca_cert_arn ca_key_arn acls generate_bootstrap_token bootstrap_token bootstrap_token_arn
		replication_token primary_datacenter retry_join_wan primary_gateways enable_mesh_gateway_wan_federation
		enable_cluster_peering ecs_service_name security_group_id lb_dns_name lb_security_group_id server_dns
		bootstrap_token_secret_arn bootstrap_token_id`,
}

// ourNames says whose attributes the second column of a table names.
var ourNames = map[string]string{
	"mesh-task: variables": "consulecs_mesh_task", "mesh-task: outputs": "consulecs_mesh_task", "controller: variables": "consulecs_controller",
	"dev-server": "consulecs_dev_server",
}

func guide(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../docs/templates/guides", name+".md.tmpl"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var inCode = regexp.MustCompile("`([^`]+)`")

// sections are the parts of a page by their headings.
func sections(page string) map[string]string {
	all := map[string]string{}
	for _, part := range strings.Split(page, "\n## ")[1:] {
		heading, text, _ := strings.Cut(part, "\n")
		all[heading] = text
	}
	return all
}

func TestTheGuideKnowsEveryVariableOfTheModule(t *testing.T) {
	t.Parallel()
	parts := sections(guide(t, "migrating-from-the-module"))
	for heading, names := range moduleVariables {
		said := map[string]bool{}
		for _, m := range inCode.FindAllStringSubmatch(parts[heading], -1) {
			said[m[1]] = true
		}
		for _, name := range strings.Fields(names) {
			if !said[name] {
				t.Errorf("%s: %s is not mapped", heading, name)
			}
		}
	}
}

func TestWhatTheGuideMapsToExists(t *testing.T) {
	t.Parallel()
	schemas := resourceSchemas(t)
	checked := 0
	for heading, text := range sections(guide(t, "migrating-from-the-module")) {
		for _, row := range strings.Split(text, "\n") {
			cells := strings.Split(row, "|")
			if ourNames[heading] == "" || len(cells) < 4 {
				continue
			}
			for _, m := range inCode.FindAllStringSubmatch(cells[2], -1) {
				if checked++; !has(schemas[ourNames[heading]], strings.Split(m[1], ".")) {
					t.Errorf("%s: %s has no %s", heading, ourNames[heading], m[1])
				}
			}
		}
	}
	if checked < 60 {
		t.Errorf("%d names are found in the tables: their form is another than this test's", checked)
	}
}

// has reports whether a schema has an attribute or a block at a place, without indexes.
func has(s schema.Schema, place []string) bool {
	attributes, blocks := s.Attributes, s.Blocks
	for i, step := range place {
		if _, ok := attributes[step]; ok {
			return i == len(place)-1
		}
		switch b := blocks[step].(type) {
		case schema.SingleNestedBlock:
			attributes, blocks = b.Attributes, b.Blocks
		case schema.ListNestedBlock:
			attributes, blocks = b.NestedObject.Attributes, b.NestedObject.Blocks
		default:
			return false
		}
	}
	return true
}

// TestTheGuideListsEveryRightOfARole compares the table of the security model with the actions that the roles' code knows.
func TestTheGuideListsEveryRightOfARole(t *testing.T) {
	t.Parallel()
	page := guide(t, "security-model")
	action := regexp.MustCompile(`"([a-z0-9]+:[A-Z][A-Za-z]+)"`)
	files, err := filepath.Glob("../internal/iamrole/*.go")
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range action.FindAllStringSubmatch(string(text), -1) {
			if strings.HasPrefix(m[1], "aws:") || m[1] == "ecs:cluster" || m[1] == "sts:AssumeRole" {
				continue // keys of conditions, and what is said in words
			}
			if known++; !strings.Contains(page, "`"+m[1]+"`") {
				t.Errorf("the guide does not list %s, which %s grants", m[1], filepath.Base(name))
			}
		}
	}
	if known < 15 {
		t.Errorf("%d actions are found", known)
	}
}

// prefixes are those of the actions in the rows of the index's table of rights.
var prefixes = map[string]string{"ECS": "ecs", "IAM": "iam", "SQS": "sqs", "EventBridge": "events"}

// TestThePolicyOfTheFirstTaskAllowsWhatTheIndexLists holds the one list of rights against the other. That of the first task is
// enforced in a test of its own, where Terraform runs with it.
func TestThePolicyOfTheFirstTaskAllowsWhatTheIndexLists(t *testing.T) {
	t.Parallel()
	index, err := os.ReadFile("../docs/templates/index.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, row := range strings.Split(sections(string(index))["Rights"], "\n") {
		cells := strings.SplitN(row, "|", 3)
		if len(cells) < 3 || prefixes[strings.TrimSpace(cells[1])] == "" {
			continue
		}
		for _, m := range regexp.MustCompile("`([A-Z][A-Za-z]+)`").FindAllStringSubmatch(cells[2], -1) {
			listed[prefixes[strings.TrimSpace(cells[1])]+":"+m[1]] = true
		}
	}
	_, policy, _ := strings.Cut(guide(t, "first-task-on-aws"), "cat >terraform-rights.json <<END")
	policy, _, _ = strings.Cut(policy, "\nEND\n")
	allowed := map[string]bool{}
	for _, m := range regexp.MustCompile(`"([a-z]+:[A-Z][A-Za-z]+)"[],\n ]`).FindAllStringSubmatch(policy, -1) {
		allowed[m[1]] = true
	}
	if len(listed) < 40 {
		t.Errorf("the index lists %d actions: its form is another than this test's", len(listed))
	}
	if diff := cmp.Diff(listed, allowed); diff != "" {
		t.Errorf("actions of the index (-) and of the policy of the first task (+):\n%s", diff)
	}
}
