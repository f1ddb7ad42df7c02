package bootstrap

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/acl"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// TestTheExampleForTerraformMakesTheSame compares texts: the provider that could plan the example comes from a registry.
func TestTheExampleForTerraformMakesTheSame(t *testing.T) {
	example, err := os.ReadFile("../../examples/consul-bootstrap/main.tf")
	if err != nil {
		t.Fatal(err)
	}
	text := string(example)
	readCatalog := regexp.MustCompile(`(?s)read_catalog = <<-EOT\n(.*?)EOT`).FindStringSubmatch(text)
	if readCatalog == nil {
		t.Fatal("the example has no read_catalog")
	}
	const role = "arn:aws:iam::123456789012:role/ctl"
	for _, r := range []struct{ from, to string }{
		{`\n`, "\n"}, {`\"`, `"`}, {"$${", "${"}, {"${local.read_catalog}", readCatalog[1]}, {"rules       = local.read_catalog", readCatalog[1]},
		{"${var.ecs_cluster_arn}", prod}, {"${local.aws_partition}", "aws"}, {"${local.account_id}", "123456789012"}, {"${var.iam_role_path}", "/consul-ecs/"},
		{"${local.controller_role_arn}", role}, {"[local.controller_role_arn]", `["` + role + `"]`}, {"${local.controller_role_name}", "ctl"},
		{"${local.cluster_name}-${substr(sha256(var.ecs_cluster_arn), 0, 8)}", strings.TrimPrefix(acl.ControllerName(prod), "consulecs-controller-")},
	} {
		text = strings.ReplaceAll(text, r.from, r.to)
	}
	plain := strings.Join(strings.Fields(text), "")
	server := startConsul(t)
	terminal(t, server)
	mustRun(t, os.Getenv, "-ecs-cluster", prod, "-controller-role", role)
	for _, part := range made(t, server.API) {
		part = strings.NewReplacer(`"api-gateway"`, `"${each.key}"`, `"mesh-gateway"`, `"${each.key}"`, `"terminating-gateway"`, `"${each.key}"`).Replace(part)
		for n := 1; n < mesh.MaxServices; n++ {
			part = strings.ReplaceAll(part, mesh.RoleTagOfService(n), mesh.RoleTagServiceName+"-${each.key}")
		}
		for _, called := range []string{"API gateways", "Terminating gateways", "mesh gateways"} {
			part = strings.ReplaceAll(part, "based "+called, "based ${each.value.called}")
		}
		if !strings.Contains(plain, strings.Join(strings.Fields(part), "")) {
			t.Errorf("the example lacks %s", part)
		}
	}
	if n := strings.Count(text, `max_token_ttl = "1h"`); n != 2 {
		t.Errorf("%d auth methods have tokens of an hour, want 2", n)
	}
}

// made are the texts of all that bootstrap has made in Consul.
func made(t *testing.T, client *api.Client) (texts []string) {
	t.Helper()
	policies, _, err := client.ACL().PolicyList(nil)
	for _, entry := range policies {
		if policy, _, err := client.ACL().PolicyRead(entry.ID, nil); err == nil && !strings.Contains(policy.Name, "global-") {
			texts = append(texts, policy.Name, policy.Description, policy.Rules)
		}
	}
	roles, _, err2 := client.ACL().RoleList(nil)
	for _, r := range roles {
		texts = append(texts, r.Name, r.Description)
	}
	rules, _, err3 := client.ACL().BindingRuleList("", nil)
	for _, r := range rules {
		texts = append(texts, r.BindName, r.Description, r.Selector)
	}
	methods, _, err4 := client.ACL().AuthMethodList(nil)
	for _, m := range methods {
		method, _, err := client.ACL().AuthMethodRead(m.Name, nil)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, method.Name, method.Description, strings.Trim(fmt.Sprint(method.Config["BoundIAMPrincipalARNs"]), "[]"))
	}
	if err := errors.Join(err, err2, err3, err4); err != nil || len(texts) < 40 {
		t.Fatalf("%d texts in Consul (%v): %q", len(texts), err, texts)
	}
	return texts
}
