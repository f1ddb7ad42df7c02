package provider_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
)

func TestServicesOfATaskAreCheckedTogether(t *testing.T) {
	t.Parallel()
	first := fields{"name": "web", "port": 8080}
	admin := func(changes fields) fields { return with(fields{"name": "web-admin", "port": 8081}, changes) }
	of := func(services ...any) fields { return meshTask(fields{"family": "shop", "service": services}) }
	several := func(changes fields) fields { return with(of(first, admin(nil)), changes) }
	calling := func(upstreams ...fields) fields {
		var all []any
		for i, changes := range upstreams {
			all = append(all, with(fields{"destination_name": fmt.Sprint("d", i), "local_bind_port": 1234 + i}, changes))
		}
		return several(fields{"upstream": all})
	}
	many := []any{first}
	for n := range 5 {
		many = append(many, fields{"name": fmt.Sprint("s", n), "port": 9000 + n})
	}
	checkRows(t, "consulecs_mesh_task", map[string]row{
		"two services":            {of(first, admin(nil)), ""},
		"the family as a name":    {of(fields{"port": 8080}, admin(nil)), ""},
		"a proxy with everything": {severalServices("several"), ""},
		"no name":                 {of(first, fields{"port": 8081}), "service[1].name | is missing: only the first service of a task has a name by default"},
		"no port":                 {of(first, fields{"name": "web-admin"}), `service["web-admin"].port | is missing`},
		"one name":                {of(first, fields{"name": "web", "port": 8081}), `service[1].name | is "web", the name of another service of the task`},
		"the family's name":       {of(fields{"port": 8080}, fields{"name": "shop", "port": 8081}), `service["shop"].name | is "shop", which family gives the first service`},
		"one port":                {of(first, admin(fields{"port": 8080})), `service["web-admin"].port | is 8080, the port of the service`},
		"one port of the second":  {of(first, admin(nil), fields{"name": "web-debug", "port": 8081}), `service["web-debug"].port | is 8081, the port of service["web-admin"].port`},
		"a name that Consul hates": {
			of(first, admin(fields{"name": "Web.Admin"})), `service["Web.Admin"].name | want lower-case letters`,
		},
		"a port too high":                 {of(first, admin(fields{"port": 70000})), `service["web-admin"].port | 70000`},
		"a fraction":                      {of(first, admin(fields{"port": 1.5})), `service[1].port | want a whole number`},
		"one listener":                    {of(first, admin(fields{"proxy": fields{"public_listener_port": 20000}})), `service["web-admin"].proxy.public_listener_port | is 20000, the port of the public listener`},
		"one default listener":            {several(fields{"proxy": fields{"public_listener_port": 20001}}), `service["web-admin"].proxy.public_listener_port | is 20001, the port of the public listener`},
		"a reserved listener":             {of(first, admin(fields{"proxy": fields{"public_listener_port": 8502}})), `service["web-admin"].proxy.public_listener_port | belongs to Consul or Envoy`},
		"an address":                      {of(first, admin(fields{"proxy": fields{"local_service_address": "localhost"}})), `service["web-admin"].proxy.local_service_address | want an IP address`},
		"an exposed path":                 {of(first, admin(fields{"proxy": fields{"expose": fields{"path": []any{fields{"path": "m", "listener_port": 1, "local_path_port": 2}}}}})), `service["web-admin"].proxy.expose.path[0].path | want a path that begins`},
		"a proxy's config":                {of(first, admin(fields{"proxy": fields{"config": "[]"}})), `service[1].proxy.config | JSON object`},
		"the first one's proxy":           {of(with(maps.Clone(first), fields{"proxy": fields{"public_listener_port": 21000}}), admin(nil)), `service["web"].proxy | the proxy of the first service is in the block proxy of the task`},
		"another namespace":               {of(first, admin(fields{"namespace": "shop", "partition": "retail"})), `service["web-admin"].namespace | all services of a task lie where the first one does`},
		"meta of the mesh":                {of(first, admin(fields{"meta": fields{"task-id": "x"}})), `service["web-admin"].meta["task-id"] | is set by the mesh`},
		"an unknown key":                  {of(first, admin(fields{"prot": 1})), " | No argument or block type is named"},
		"too many":                        {of(many...), "service | has 5 services besides the first one, want at most 4"},
		"outbound only":                   {several(fields{"outbound_only": true}), "outbound_only | the task is several services"},
		"a transparent proxy":             {several(fields{"transparent_proxy": fields{"enabled": true}, "task": fields{"launch_types": []any{"EC2"}}}), "transparent_proxy.enabled | is true, but the task is several services"},
		"a port of a container":           {several(fields{"container": container(fields{"port_mapping": []any{fields{"container_port": 20001}}})}), `container[0].port_mapping[0].container_port | is 20001, which service["web-admin"].proxy.public_listener_port has taken`},
		"a service known later":           {with(of(), fields{"service": nil, "dynamic": fields{"service": laterBlock(fields{"port": 8080})}}), ""},
		"a name known later":              {of(first, admin(fields{"name": later})), ""},
		"a port known later":              {of(first, admin(fields{"port": later})), ""},
		"an upstream of the second":       {calling(fields{"service": "web-admin"}), ""},
		"an upstream of the first":        {calling(fields{"service": "web"}), ""},
		"an upstream of nobody":           {calling(fields{}, fields{"service": "web-admn"}), `upstream[1].service | is "web-admn", want the name of a service of the task: web, web-admin`},
		"an upstream of the only service": {meshTask(fields{"family": "shop", "upstream": []any{fields{"destination_name": "api", "local_bind_port": 1234, "service": "shop"}}}), ""},
		"a carrier named later":           {with(calling(fields{}, fields{"destination_name": "d0", "service": "web-admin"}), fields{"service": []any{first, admin(fields{"name": later})}}), ""},
		"the family of a carrier":         {with(calling(fields{}, fields{"service": "shop"}), fields{"family": later, "service": []any{fields{"port": 8080}, admin(nil)}}), ""},
		"an upstream known later":         {calling(fields{}, fields{"service": later, "destination_name": "d0"}), ""},
		"one destination for both":        {calling(fields{}, fields{"destination_name": "d0", "service": "web-admin"}), ""},
		"one destination twice": {
			calling(fields{"service": "web-admin"}, fields{}, fields{"destination_name": "d0", "service": "web-admin"}), `upstream[2].destination_name | "d0" is already the destination of upstream[0]`,
		},
		"one port for two upstreams": {calling(fields{}, fields{"service": "web-admin", "local_bind_port": 1234}), `upstream[1].local_bind_port | is 1234, the port of upstream[0]`},
		"a container on an upstream": {
			with(calling(fields{}, fields{"service": "web-admin"}), fields{"container": container(fields{"port_mapping": []any{fields{"container_port": 1235}}})}),
			`container[0].port_mapping[0].container_port | is 1235, which upstream[1].local_bind_port has taken`,
		},
		"a way out of the second": {
			calling(fields{}, fields{"service": "web-admin", "destination_peer": "east", "datacenter": "dc2"}), "upstream[1].datacenter | is \"dc2\", but upstream[1].destination_peer is set",
		},
		"an address of an upstream": {calling(fields{"service": "web-admin", "local_bind_address": "localhost"}), "upstream[0].local_bind_address | want an IP address"},
		"the listener as an app":    {of(first, admin(fields{"port": 20000})), `service["web-admin"].port | is 20000, the port of the public listener`},
	})
}

// services is a task that is one service or two.
func servicesTask(family, second string) string {
	return fmt.Sprintf(`
resource "consulecs_mesh_task" "this" {
  family = %q
  service { port = 9090 }
  %s
  container {
    name  = "app"
    image = "app:1"
  }
}
`, family, second)
}

func TestATaskBecomesTwoServicesAndOneAgain(t *testing.T) {
	t.Parallel()
	const family = "twofold"
	c := startMoto(t)
	one := c.provider() + servicesTask(family, "")
	two := c.provider() + servicesTask(family, `
  service {
    name = "twofold-admin"
    port = 9091
    tags = ["v1"]
    proxy {
      readiness_port = 23000
      config         = jsonencode({ protocol = "http" })
    }
  }
  upstream {
    destination_name = "books"
    local_bind_port  = 1234
  }
  upstream {
    destination_name = "books"
    local_bind_port  = 1235
    service          = "twofold-admin"
  }`)
	imported := resource.TestStep{ResourceName: meshTaskName, ImportState: true, ImportStateVerify: true, ImportStateVerifyIgnore: spelledOut, ImportStateId: family}
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		CheckDestroy:             c.nothingLeft(t, family),
		Steps: []resource.TestStep{
			step(one, c.wantServices(t, family)),
			step(two, c.wantServices(t, family, "twofold-admin"), c.wantRevisions(t, family, "2")),
			drift(t, two, func() error { // the right to the second service taken away
				_, err := c.iam.UntagRole(t.Context(), &iam.UntagRoleInput{RoleName: aws.String(family + "-task"), TagKeys: []string{mesh.RoleTagOfService(1)}})
				return err
			}),
			imported,
			step(one, c.wantServices(t, family)),
		},
	})
}

// wantServices checks which services besides the first the task's role may be, and its agents are told of.
func (c cloud) wantServices(t *testing.T, family string, want ...string) resource.TestCheckFunc {
	return inAWS(func() error {
		role, err := c.iam.GetRole(t.Context(), &iam.GetRoleInput{RoleName: aws.String(family + "-task")})
		if err != nil {
			return err
		}
		var granted, told []string
		for n := 1; n < mesh.MaxServices; n++ {
			for _, tag := range role.Role.Tags {
				if *tag.Key == mesh.RoleTagOfService(n) {
					granted = append(granted, *tag.Value)
				}
			}
		}
		described, err := c.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: &family})
		if err != nil {
			return err
		}
		cfg, err := block.ReadConfig(described.TaskDefinition.ContainerDefinitions)
		if err != nil {
			return err
		}
		for _, further := range cfg.Services {
			told = append(told, further.Service.Name)
		}
		if diff := cmp.Diff([][]string{want, want}, [][]string{granted, told}); diff != "" {
			return fmt.Errorf("granted and told (-want +got):\n%s", diff)
		}
		return nil
	})
}

func TestAGivenRoleHasToGrantEachService(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	_, err := c.iam.CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName: aws.String("one_service"), Path: aws.String("/consul-ecs/"), AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[]}`),
		Tags: []iamtypes.Tag{{Key: aws.String(mesh.RoleTagServiceName), Value: aws.String("granted")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		Steps: []resource.TestStep{{
			Config: c.provider() + `
resource "consulecs_mesh_task" "this" {
  family = "granted"
  service { port = 9090 }
  service {
    name = "granted-admin"
    port = 9091
  }
  login { enabled = true }
  iam {
    task_role { arn = "arn:aws:iam::123456789012:role/consul-ecs/one_service" }
  }
  container {
    name  = "app"
    image = "app:1"
  }
}
`,
			PlanOnly:    true,
			ExpectError: regexp.MustCompile(`(?s)consul.hashicorp.com.service-name-2="",.*as\s+service\s+"granted-admin"`),
		}},
	})
}

// A state of a version in which a task was one service goes on without a change of anything.
func TestAStateOfOneServiceIsUpgraded(t *testing.T) {
	t.Parallel()
	p := speak(t)
	typ := p.block("consulecs_mesh_task").ValueType()
	for name, c := range map[string]struct {
		state string
		want  []any // ports
	}{
		"a service":  {`{"family":"web","service":{"port":8080,"name":"shop","weights":{"passing":2,"warning":1}},"container":[{"name":"app","image":"app:1","cpu":10}],"revision":12345678901}`, []any{8080}},
		"no service": {`{"family":"web","service":null,"outbound_only":true}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := p.UpgradeResourceState(t.Context(), &tfprotov6.UpgradeResourceStateRequest{
				TypeName: "consulecs_mesh_task", Version: 0, RawState: &tfprotov6.RawState{JSON: []byte(c.state)},
			})
			if err != nil || len(got.Diagnostics) > 0 {
				t.Fatal(err, got.Diagnostics)
			}
			state, err := got.UpgradedState.Unmarshal(typ)
			if err != nil {
				t.Fatal(err)
			}
			var all map[string]tftypes.Value
			var services []tftypes.Value
			if err := state.As(&all); err != nil {
				t.Fatal(err)
			}
			if err := all["service"].As(&services); err != nil || len(services) != len(c.want) {
				t.Fatalf("%v, services %v, want of ports %v", err, services, c.want)
			}
			for i, service := range services {
				var is map[string]tftypes.Value
				if err := service.As(&is); err != nil || !is["port"].Equal(value(t, tftypes.Number, c.want[i])) {
					t.Errorf("%v, service %v, want port %v", err, is, c.want[i])
				}
			}
		})
	}
}

// TestAnAppliedStateOfOneServiceGoesOn has Terraform read a state that it wrote when a task was one service: nothing is to be done, and
// what was made can be destroyed.
func TestAnAppliedStateOfOneServiceGoesOn(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	_, tf := c.state(t, fields{"consulecs_mesh_task": fields{"this": meshTask(fields{"family": "earlier", "service": fields{"port": 8080, "tags": []any{"v1"}}})}})
	applied(t, tf)
	text, err := os.ReadFile(tf.State())
	if err != nil {
		t.Fatal(err)
	}
	var state fields
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatal(err)
	}
	instance := state["resources"].([]any)[0].(fields)["instances"].([]any)[0].(fields)
	attributes := instance["attributes"].(fields)
	service := attributes["service"].([]any)[0].(fields)
	delete(service, "proxy")
	attributes["service"], instance["schema_version"] = service, 0
	if text, err = json.Marshal(state); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(tf.State(), text, 0o600); err != nil {
		t.Fatal(err)
	}
	nothingToDo(t, tf)
	destroyed(t, tf)
	if left := c.roles(t, "earlier"); len(left) > 0 {
		t.Errorf("the roles %v are left", left)
	}
}
