package provider_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/zclconf/go-cty/cty"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// acting is what Terraform 1.14 asks of a provider with actions.
type acting interface {
	tfprotov6.ProviderServer
	tfprotov6.ActionServer
}

const (
	reapCluster  = "consulecs_reap_cluster"
	drainService = "consulecs_drain_service"
)

// invoke validates, plans and invokes an action, as Terraform does one after the other, up to the first error.
func (p protocol) invoke(t *testing.T, name string, config fields) (progress []string, said []*tfprotov6.Diagnostic) {
	t.Helper()
	server := p.ProviderServer.(acting)
	text := dynamic(t, object(t, p.schemas.ActionSchemas[name].Schema.Block, config))
	validated, err := server.ValidateActionConfig(t.Context(), &tfprotov6.ValidateActionConfigRequest{ActionType: name, Config: text})
	if err != nil || slices.ContainsFunc(validated.Diagnostics, isError) {
		return nil, failing(t, err, validated.Diagnostics)
	}
	planned, err := server.PlanAction(t.Context(), &tfprotov6.PlanActionRequest{ActionType: name, Config: text})
	if err != nil || slices.ContainsFunc(planned.Diagnostics, isError) {
		return nil, failing(t, err, planned.Diagnostics)
	}
	stream, err := server.InvokeAction(t.Context(), &tfprotov6.InvokeActionRequest{ActionType: name, Config: text})
	if err != nil {
		t.Fatal(err)
	}
	completed := false
	for event := range stream.Events {
		switch event := event.Type.(type) {
		case tfprotov6.ProgressInvokeActionEventType:
			progress = append(progress, event.Message)
		case tfprotov6.CompletedInvokeActionEventType:
			completed, said = true, event.Diagnostics
		}
	}
	if !completed {
		t.Errorf("%s has not told that it is over", name)
	}
	return progress, said
}

func failing(t *testing.T, err error, said []*tfprotov6.Diagnostic) []*tfprotov6.Diagnostic {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return said
}

// TestActionsAtTheProtocol speaks as Terraform 1.14 does, which alone has actions.
func TestActionsAtTheProtocol(t *testing.T) {
	t.Parallel()
	w := watchMesh(t, binaries()[0].startMoto(t)) // one of its own: the names are those of another test
	t.Run("a service is drained and restored", w.testDrain)
	t.Run("what dead tasks left is removed", w.testReap)
	t.Run("what is wrong is told", w.testActionRefusals)
	t.Run("Terraform invokes them", w.testInvoked)
}

// serving are the tasks whose instances Consul gives to callers.
func (w watched) serving(t *testing.T, service string) (tasks []string) {
	t.Helper()
	entries, _, err := w.consul.API.Health().Service(service, "", true, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		tasks = append(tasks, e.Service.Meta[mesh.MetaTaskID])
	}
	slices.Sort(tasks)
	return tasks
}

func (w watched) testDrain(t *testing.T) {
	first, second := strings.Repeat("1", 32), strings.Repeat("2", 32)
	for _, task := range []string{first, second} {
		w.hasService(t, "shop", mesh.ServiceID("shop", task), task)
		w.hasService(t, mesh.ProxyName("shop"), mesh.ProxyID(mesh.ServiceID("shop", task)), task)
	}
	w.hasService(t, "shop", "by-hand-shop", "")
	p := speak(t)
	p.configure(t, with(w.ours(), fields{"consul": w.api(w.consul.BootstrapToken)}))
	for _, step := range []struct {
		name    string
		config  fields
		serving []string
		says    []string // progress, then diagnostics
	}{
		{"a dry run", fields{"service": "shop", "dry_run": true}, []string{"", first, second}, []string{"Would be taken out of traffic: task " + first, "Would be taken out of traffic: task " + second}},
		{"one task", fields{"task": w.taskARN(first), "reason": "a test"}, []string{"", second}, []string{"Is taken out of traffic: task " + first, "1 task of 1 taken out of traffic"}},
		{"once more", fields{"task": first}, []string{"", second}, []string{"Left as it is"}},
		{"all of them", fields{"service": "shop", "reason": "a test"}, []string{""}, []string{"2 tasks of 2 taken out of traffic"}},
		{"a task back", fields{"task": second, "service": "shop", "restore": true}, []string{"", second}, []string{"Is put back into traffic: task " + second}},
		{"all back", fields{"service": "shop", "restore": true}, []string{"", first, second}, []string{"Left as it is, already put back into traffic: task " + second, "1 task of 2"}},
		{"nobody", fields{"service": "shopping"}, []string{"", first, second}, []string{"has no instance of service shopping"}},
	} {
		progress, said := p.invoke(t, drainService, with(fields{"cluster": "prod"}, step.config))
		text := strings.Join(append(progress, detailsOf(said)...), "\n")
		for _, want := range step.says {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %s, want %s", step.name, text, want)
			}
		}
		if got := w.serving(t, "shop"); !slices.Equal(got, step.serving) {
			t.Errorf("%s: %v take traffic, want %v", step.name, got, step.serving)
		}
		if proxies := w.serving(t, mesh.ProxyName("shop")); len(proxies) != len(step.serving)-1 {
			t.Errorf("%s: the proxies of %v take traffic", step.name, proxies)
		}
	}
	checks, _, err := w.consul.API.Health().Node(w.cluster, nil)
	if err != nil || slices.ContainsFunc(checks, func(c *api.HealthCheck) bool { return strings.HasPrefix(c.CheckID, api.ServiceMaintPrefix) }) {
		t.Errorf("checks are left: %v, %v", checks, err)
	}
	_, said := p.invoke(t, drainService, fields{"cluster": w.cluster, "task": w.tasks["running"]})
	if text := strings.Join(detailsOf(said), "\n"); text != "" { // a service without proxies is none of the mesh
		t.Error(text)
	}
}

// hasService is a service instance on the node with a check that passes.
func (w *watched) hasService(t *testing.T, name, id, task string) {
	t.Helper()
	entry := &api.CatalogRegistration{Node: w.cluster, Address: "127.0.0.1", Service: &api.AgentService{ID: id, Service: name}}
	if task != "" {
		entry.Service.Meta = map[string]string{mesh.MetaTaskID: task}
	}
	entry.Check = &api.AgentCheck{Node: w.cluster, CheckID: id + "-app", Name: "app", ServiceID: id, ServiceName: name, Status: api.HealthPassing}
	if _, err := w.consul.API.Catalog().Register(entry, nil); err != nil {
		t.Fatal(err)
	}
}

func (w watched) taskARN(id string) string {
	return strings.Replace(w.cluster, ":cluster/", ":task/", 1) + "/" + id
}

func (w watched) testReap(t *testing.T) {
	p := speak(t)
	p.configure(t, w.asRole(nil)) // who logs in below; the token of Consul is the environment's, there is none
	meta := fields{mesh.LoginMetaTaskID: w.tasks["stopped"], mesh.LoginMetaCluster: w.cluster}
	if _, _, said := p.open(t, fields{"auth_method": operators, "meta": meta}); len(said) > 0 {
		t.Fatal(detailsOf(said))
	}
	p = speak(t)
	p.configure(t, with(w.ours(), fields{"consul": w.api(w.consul.BootstrapToken)}))
	progress, _ := p.invoke(t, reapCluster, fields{"cluster": w.cluster, "auth_method": operators, "dry_run": true})
	leavings := "what task " + w.tasks["stopped"] + " left: web-" + w.tasks["stopped"] + ", 1 token. ECS says that it has stopped."
	config := fields{"cluster": w.cluster, "auth_method": operators}
	if text := strings.Join(progress, "\n"); !strings.Contains(text, "Would remove "+leavings) || w.loggedIn(t) != 1 || len(w.serving(t, "web")) != 1 {
		t.Errorf("a dry run: %s, %v", text, w.serving(t, "web"))
	}
	if _, said := p.invoke(t, reapCluster, fields{"cluster": w.cluster, "tokens": false, "brake_tasks": 0, "brake_percent": 0, "dry_run": true}); slices.ContainsFunc(said, isError) {
		t.Error(detailsOf(said))
	}
	progress, said := p.invoke(t, reapCluster, config)
	if text := strings.Join(progress, "\n"); !strings.Contains(text, "Removed "+leavings) || !strings.Contains(text, "Left alone what Consul has on the node and is no task's") {
		t.Error(text)
	}
	// The emulator gives no answer about a task that it does not know.
	if text := strings.Join(detailsOf(said), "\n"); !strings.Contains(text, "ECS gave no answer that could be relied on about ") {
		t.Error(text)
	}
	services, _, err := w.consul.API.Catalog().NodeServiceList(w.cluster, nil)
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for _, s := range services.Services {
		left[s.ID] = true
	}
	if left["web-"+w.tasks["stopped"]] || !left["web-"+w.tasks["running"]] || !left["web-"+w.tasks["missing"]] || !left["by-hand"] {
		t.Errorf("%v are left", left)
	}
	if n := w.loggedIn(t); n != 0 {
		t.Errorf("%d tokens are left", n)
	}
	progress, _ = p.invoke(t, reapCluster, config)
	if text := strings.Join(progress, "\n"); !strings.Contains(text, "Removed what 0 tasks left") {
		t.Errorf("once more: %s", text)
	}
}

func (w watched) testActionRefusals(t *testing.T) {
	reader := w.tokenWith(t, `node_prefix "" { policy = "read" } service_prefix "" { policy = "read" }`)
	nothing := w.tokenWith(t, "")
	for name, c := range map[string]struct {
		consul fields
		action string
		config fields
		want   string
	}{
		"no Consul":                  {nil, reapCluster, fields{"cluster": "prod"}, "set consul.address of the provider, or CONSUL_HTTP_ADDR"},
		"a token to come":            {with(w.api(nil), fields{"token": unknown{}}), reapCluster, fields{"cluster": "prod"}, "The provider's consul.token depends on a resource that does not exist yet"},
		"an ECS cluster of nobody":   {w.api(w.consul.BootstrapToken), reapCluster, fields{"cluster": "prdo"}, "has no node arn:aws:ecs:us-east-1:123456789012:cluster/prdo"},
		"a cluster's name is empty":  {nil, drainService, fields{"cluster": "", "service": "web"}, "cluster is empty"},
		"an ARN of something else":   {nil, reapCluster, fields{"cluster": "arn:aws:ecs:us-east-1:123456789012:service/prod/web"}, "is the ARN of something else than an ECS cluster"},
		"nobody is meant":            {nil, drainService, fields{"cluster": "prod"}, "service is not set, nor is task"},
		"a service's name":           {nil, drainService, fields{"cluster": "prod", "service": "Web!"}, `service is no name of a service: service name "Web!"`},
		"a task's ID":                {nil, drainService, fields{"cluster": "prod", "task": "web"}, `"web" is neither the ID of an ECS task`},
		"a reason to restore":        {nil, drainService, fields{"cluster": "prod", "service": "web", "restore": true, "reason": "over"}, "leave it out where restore is true"},
		"a method without tokens":    {nil, reapCluster, fields{"cluster": "prod", "tokens": false, "auth_method": "x"}, "auth_method is set, and tokens is false"},
		"a brake of less than none":  {nil, reapCluster, fields{"cluster": "prod", "brake_tasks": -1}, "must be at least 0"},
		"a brake of more than all":   {nil, reapCluster, fields{"cluster": "prod", "brake_percent": 101}, "must be between 0 and 100"},
		"a token that only reads":    {w.api(reader), drainService, fields{"cluster": "prod", "task": w.tasks["missing"]}, "hint: the token needs service:write on web"},
		"a token that sees nothing":  {w.api(nothing), drainService, fields{"cluster": "prod", "service": "web"}, "(node:read)"},
		"tokens of somebody else's":  {w.api(reader), reapCluster, fields{"cluster": "prod"}, "set tokens = false"},
		"no right to remove":         {w.api(reader), reapCluster, fields{"cluster": "prod", "tokens": false}, ""},
		"a service that is not told": {nil, drainService, fields{"cluster": unknown{}, "service": unknown{}, "task": "web"}, `"web" is neither the ID`},
	} {
		p := speak(t)
		config := w.ours()
		if c.consul != nil {
			config = with(config, fields{"consul": c.consul})
		}
		p.configure(t, config)
		_, said := p.invoke(t, c.action, c.config)
		if text := strings.Join(detailsOf(said), "\n"); !strings.Contains(text, c.want) {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
	}
}

// tokenWith is a token with rules.
func (w watched) tokenWith(t *testing.T, rules string) string {
	t.Helper()
	name := fmt.Sprintf("rules-%d", len(rules))
	if _, _, err := w.consul.API.ACL().PolicyCreate(&api.ACLPolicy{Name: name, Rules: rules}, nil); err != nil {
		t.Fatal(err)
	}
	token, _, err := w.consul.API.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLTokenPolicyLink{{Name: name}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return token.SecretID
}

// actionExamples are the configurations of the actions' examples, by type and name. A Terraform before 1.14 cannot read them.
func actionExamples(t *testing.T) map[[2]string]fields {
	t.Helper()
	files, err := filepath.Glob("../examples/actions/*/action.tf")
	if err != nil {
		t.Fatal(err)
	}
	all := map[[2]string]fields{}
	for _, name := range files {
		file, diags := hclparse.NewParser().ParseHCLFile(name)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		for _, block := range file.Body.(*hclsyntax.Body).Blocks {
			config := fields{}
			for key, a := range block.Body.Blocks[0].Body.Attributes {
				v, diags := a.Expr.Value(nil)
				switch {
				case diags.HasErrors():
					t.Fatal(diags)
				case v.Type() == cty.Bool:
					config[key] = v.True()
				default:
					config[key] = v.AsString()
				}
			}
			all[[2]string{block.Labels[0], block.Labels[1]}] = config
		}
	}
	return all
}

func TestExamplesOfActionsAreValid(t *testing.T) {
	t.Parallel()
	p := speak(t)
	examples, shown := actionExamples(t), map[string]bool{}
	for of, config := range examples {
		shown[of[0]] = true
		text := dynamic(t, object(t, p.schemas.ActionSchemas[of[0]].Schema.Block, config))
		validated, err := p.ProviderServer.(acting).ValidateActionConfig(t.Context(), &tfprotov6.ValidateActionConfigRequest{ActionType: of[0], Config: text})
		if err != nil || len(validated.Diagnostics) > 0 {
			t.Errorf("%v: %v, %v", of, err, detailsOf(validated.Diagnostics))
		}
	}
	for name := range p.schemas.ActionSchemas {
		if !shown[name] {
			t.Errorf("there is no example of %s", name)
		}
	}
}

// isLater reports whether this is a Terraform that knows actions and list blocks: 1.14 or a later one.
func (b *binary) isLater(t *testing.T) bool {
	t.Helper()
	if b.name() == "tofu" {
		return false
	}
	out, err := exec.CommandContext(t.Context(), b.path, "version", "-json").Output()
	var is struct {
		Version string `json:"terraform_version"`
	}
	if err == nil {
		err = json.Unmarshal(out, &is)
	}
	var major, minor int
	if err == nil {
		_, err = fmt.Sscanf(is.Version, "%d.%d.", &major, &minor)
	}
	if err != nil {
		t.Fatal(err)
	}
	return major > 1 || minor >= 14
}

// testInvoked has the real Terraform drain a task, where it is one that can.
func (w watched) testInvoked(t *testing.T) {
	for _, on := range binaries() {
		if !on.isLater(t) {
			continue // the protocol has been spoken above
		}
		task := strings.Repeat("3", 32)
		w.hasService(t, "till", mesh.ServiceID("till", task), task)
		dir := workDir(t)
		dir.write(t, "main.tf.json", fields{
			"terraform": requirements(), "provider": fields{"consulecs": with(w.ours(), fields{"consul": w.api(w.consul.BootstrapToken)})},
			"action": fields{drainService: fields{"till": fields{"config": fields{"cluster": w.cluster, "service": "till"}}}},
		})
		if _, err := on.terraform(t, dir).Output(t.Context(), "apply", "-auto-approve", "-no-color", "-invoke=action."+drainService+".till"); err != nil {
			t.Fatal(err)
		}
		if serving := w.serving(t, "till"); len(serving) > 0 {
			t.Errorf("%v take traffic", serving)
		}
	}
}
