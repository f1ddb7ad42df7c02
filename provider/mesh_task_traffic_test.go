package provider_test

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// trafficTask is a mesh task whose traffic is redirected, in scopes of Enterprise, with all that a container may say of its
// start and end.
func trafficTask(family, delay string) string {
	return fmt.Sprintf(`
resource "consulecs_mesh_task" "this" {
  family = %q
  service {
    port      = 9090
    namespace = "shop"
    partition = "retail"
    weights {
      passing = 1
      warning = 0
    }
  }
  upstream {
    destination_name = "api"
    local_bind_port = 1234
    destination_namespace = "backend"
    destination_partition = "core"
  }
  upstream {
    destination_name = "api"
    local_bind_port = 1235
    destination_namespace = "backend"
    destination_peer = "east"
  }
  proxy { stop_within = 95 }
  transparent_proxy {
    enabled                = true
    dns                    = true
    exclude_inbound_ports  = [9100, 8081]
    exclude_outbound_ports = [5432]
    exclude_outbound_cidrs = ["192.0.2.1", "10.0.0.0/8"]
    exclude_uids           = [4294967295, 0]
  }
  task {
    cpu = 512
    memory = 1024
    launch_types = ["EC2", "MANAGED_INSTANCES"]
  }
  container {
    name         = "app"
    image        = "app:1"
    essential    = true
    entry_point  = ["/entrypoint.sh"]
    command      = ["serve", "--", "-x"]
    stop_timeout = 90
    health_check { command = ["CMD", "/app", "health"] }
    mesh {
      shutdown_delay  = %q
      readiness_probe {
        type = "http"
        port = 9090
        path = "/ready"
      }
    }
  }
  container {
    name      = "search"
    image     = "search:1"
    essential = false
    mesh {
      readiness_probe {
        type = "grpc"
        port = 9091
        service = "a.B"
      }
    }
  }
  container {
    name         = "log"
    image        = "log:1"
    essential    = true
    entry_point  = [] # the image has none
    command      = ["/log"]
    health_check { command = ["CMD", "/log", "health"] }
    mesh {
      health_sync = false
      shutdown_delay = "29s"
    }
  }
}
`, family, delay)
}

func TestTrafficSettingsLiveAndAreImported(t *testing.T) {
	t.Parallel()
	const family = "traffic"
	c := startMoto(t)
	config := c.provider() + trafficTask(family, "1m")
	imported := resource.TestStep{ResourceName: meshTaskName, ImportState: true, ImportStateVerify: true, ImportStateVerifyIgnore: spelledOut, ImportStateId: family}
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		CheckDestroy:             c.nothingLeft(t, family),
		Steps: []resource.TestStep{
			step(config, c.wantRevisions(t, family, "1"), c.wantScopes(t, family)),
			imported,
			step(c.provider()+trafficTask(family, "10s"), c.wantRevisions(t, family, "2"), inAWS(func() error {
				described, err := c.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String(family)})
				if err != nil {
					return err
				}
				want := []string{"/consul/consul-ecs", "app", "-shutdown-delay", "10s", "--", "/entrypoint.sh"}
				if diff := cmp.Diff(want, described.TaskDefinition.ContainerDefinitions[0].EntryPoint); diff != "" {
					return fmt.Errorf("entry point (-want +got):\n%s", diff)
				}
				return nil
			})),
			drift(t, config, func() error { // the delay taken off
				return c.registerElsewhere(t, family, func(d *ecstypes.TaskDefinition) { d.ContainerDefinitions[0].EntryPoint = []string{"/entrypoint.sh"} })
			}),
			drift(t, config, func() error { // the namespace of the role removed
				_, err := c.iam.UntagRole(t.Context(), &iam.UntagRoleInput{RoleName: aws.String(family + "-task"), TagKeys: []string{mesh.RoleTagNamespace}})
				return err
			}),
			imported,
			step(c.provider()+plainTask(family, "1", ""), inAWS(func() error { // everything off again; the revision of others is not this resource's
				_, err := c.ecs.DeregisterTaskDefinition(t.Context(), &ecs.DeregisterTaskDefinitionInput{TaskDefinition: aws.String(family + ":3")})
				return err
			})),
		},
	})
}

// wantScopes checks the tags by which controllers and binding rules know the scopes of trafficTask.
func (c cloud) wantScopes(t *testing.T, family string) resource.TestCheckFunc {
	return inAWS(func() error {
		described, err := c.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: &family, Include: []ecstypes.TaskDefinitionField{"TAGS"}})
		if err != nil {
			return err
		}
		role, err := c.iam.GetRole(t.Context(), &iam.GetRoleInput{RoleName: aws.String(family + "-task")})
		if err != nil {
			return err
		}
		got := map[string]string{}
		for _, tag := range described.Tags {
			got[*tag.Key] = *tag.Value
		}
		for _, tag := range role.Role.Tags {
			got[*tag.Key] = *tag.Value
		}
		for key, want := range map[string]string{mesh.TaskTagPartition: "retail", mesh.TaskTagNamespace: "shop", mesh.RoleTagNamespace: "shop", mesh.RoleTagServiceName: family} {
			if got[key] != want {
				return fmt.Errorf("the tag %s is %q, want %q", key, got[key], want)
			}
		}
		return nil
	})
}

func TestAGivenRoleHasToLeadIntoTheNamespace(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	_, err := c.iam.CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName: aws.String("scoped_app"), Path: aws.String("/consul-ecs/"), AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[]}`),
		Tags: []iamtypes.Tag{{Key: aws.String(mesh.RoleTagServiceName), Value: aws.String("scoped")}, {Key: aws.String(mesh.RoleTagNamespace), Value: aws.String("other")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		Steps: []resource.TestStep{{
			Config: c.provider() + `
resource "consulecs_mesh_task" "this" {
  family    = "scoped"
  service {
    port = 9090
    namespace = "shop"
    partition = "retail"
  }
  container {
    name = "app"
    image = "app:1"
  }
  iam {
    task_role { arn = "arn:aws:iam::123456789012:role/consul-ecs/scoped_app" }
  }
}`,
			PlanOnly:    true,
			ExpectError: regexp.MustCompile(`(?s)Task role cannot log in to Consul.*namespace="other".*Set the tag to\s+"shop"`),
		}},
	})
}

func TestTransparentProxyIsChecked(t *testing.T) {
	t.Parallel()
	on := func(launchTypes []any, changes fields) fields {
		return meshTask(fields{"task": fields{"launch_types": launchTypes}, "transparent_proxy": with(fields{"enabled": true}, changes)})
	}
	ec2 := []any{"EC2"}
	refused := "transparent_proxy.enabled | FARGATE does not grant the capability NET_ADMIN that redirecting traffic takes: set task.launch_types to EC2, MANAGED_INSTANCES or both, or use names, which takes none"
	rows := map[string]row{
		"off":                        {meshTask(fields{"transparent_proxy": fields{}}), ""},
		"off by its name":            {meshTask(fields{"transparent_proxy": fields{"enabled": false, "dns": false}}), ""},
		"on EC2":                     {on(ec2, nil), ""},
		"on managed instances":       {on([]any{"MANAGED_INSTANCES"}, nil), ""},
		"on both":                    {on([]any{"EC2", "MANAGED_INSTANCES"}, nil), ""},
		"on the default":             {meshTask(fields{"transparent_proxy": fields{"enabled": true}}), refused},
		"on Fargate":                 {on([]any{"FARGATE"}, nil), refused},
		"on Fargate too":             {on([]any{"FARGATE", "EC2"}, nil), refused},
		"on EXTERNAL":                {on([]any{"EXTERNAL"}, nil), "task.launch_types | EXTERNAL"},
		"with DNS":                   {on(ec2, fields{"dns": true}), ""},
		"DNS alone":                  {meshTask(fields{"transparent_proxy": fields{"dns": true}}), "transparent_proxy.dns | transparent_proxy.enabled is not"},
		"DNS, a read-only mesh-init": {with(on(ec2, fields{"dns": true}), fields{"sidecars": fields{"image": "a", "mesh_init": fields{"readonly_root_filesystem": true}}}), "sidecars.mesh_init.readonly_root_filesystem | /etc/resolv.conf"},
		"excluding everything": {on(ec2, fields{"exclude_inbound_ports": []any{1, 65535}, "exclude_outbound_ports": []any{5432},
			"exclude_outbound_cidrs": []any{"10.0.0.0/8", "192.0.2.1", "fd00::/8"}, "exclude_uids": []any{0, 4294967295}}), ""},
		"a port with a fraction":       {on(ec2, fields{"exclude_inbound_ports": []any{1.5}}), "transparent_proxy.exclude_inbound_ports | want a whole number"},
		"a UID that is no number":      {on(ec2, fields{"exclude_uids": []any{"abc"}}), " | number"},
		"a UID of -1":                  {on(ec2, fields{"exclude_uids": []any{-1}}), "transparent_proxy.exclude_uids | -1"},
		"a UID beyond the kernel's":    {on(ec2, fields{"exclude_uids": []any{4294967296}}), "transparent_proxy.exclude_uids | 4294967296"},
		"a CIDR":                       {on(ec2, fields{"exclude_outbound_cidrs": []any{"junk"}}), "transparent_proxy.exclude_outbound_cidrs | junk"},
		"a CIDR beyond IPv4":           {on(ec2, fields{"exclude_outbound_cidrs": []any{"10.0.0.0/33"}}), "transparent_proxy.exclude_outbound_cidrs | 10.0.0.0/33"},
		"a CIDR twice":                 {on(ec2, fields{"exclude_outbound_cidrs": []any{"10.0.0.0/8", "10.1.0.0/8"}}), "transparent_proxy.exclude_outbound_cidrs | in the list already"},
		"a null CIDR":                  {on(ec2, fields{"exclude_outbound_cidrs": []any{nil}}), "transparent_proxy.exclude_outbound_cidrs | null"},
		"unknown key":                  {on(ec2, fields{"exclude_outbound_uids": []any{1}}), " | No argument or block type is named"},
		"an upstream at Envoy's port":  {with(on(ec2, nil), fields{"upstream": upstream(fields{"local_bind_port": 15001})}), "upstream[0].local_bind_port | redirected traffic"},
		"a container as the dataplane": {with(on(ec2, nil), fields{"container": container(fields{"user": "5995"})}), "container[0].user | 5995"},
	}
	for _, list := range []string{"exclude_inbound_ports", "exclude_outbound_ports"} {
		for _, port := range []int{0, -1, 65536, 99999} {
			rows[fmt.Sprint(list, " ", port)] = row{on(ec2, fields{list: []any{port}}), fmt.Sprintf("transparent_proxy.%s | %d", list, port)}
		}
		rows[list+" of nothing"] = row{meshTask(fields{"transparent_proxy": fields{list: []any{1}}}), "transparent_proxy." + list + " | transparent_proxy.enabled is not true"}
	}
	rows["CIDRs of nothing"] = row{meshTask(fields{"transparent_proxy": fields{"exclude_outbound_cidrs": []any{"10.0.0.0/8"}}}), "transparent_proxy.exclude_outbound_cidrs | transparent_proxy.enabled is not true"}
	rows["UIDs of nothing"] = row{meshTask(fields{"transparent_proxy": fields{"exclude_uids": []any{1}}}), "transparent_proxy.exclude_uids | transparent_proxy.enabled is not true"}
	checkRows(t, "consulecs_mesh_task", rows)
}

func TestZonesAreChecked(t *testing.T) {
	t.Parallel()
	on := func(changes fields) fields {
		return meshTask(fields{"locality": with(fields{"prefer_zone": true}, changes)})
	}
	zones := func(pairs fields) fields { return on(fields{"zones": pairs}) }
	checkRows(t, "consulecs_mesh_task", map[string]row{
		"nothing":              {meshTask(fields{"locality": fields{}}), ""},
		"off":                  {meshTask(fields{"locality": fields{"prefer_zone": false}}), ""},
		"on":                   {on(nil), ""},
		"gradual":              {on(fields{"spill": "gradual"}), ""},
		"full, with networks":  {on(fields{"spill": "full", "zones": fields{"10.0.1.0/24": "eu-west-1a", "fd00:1::/64": "eu-west-1b"}}), ""},
		"another spill":        {on(fields{"spill": "some"}), "locality.spill | some"},
		"spill of nothing":     {meshTask(fields{"locality": fields{"spill": "full"}}), "locality.spill | locality.prefer_zone is not true"},
		"networks of nothing":  {meshTask(fields{"locality": fields{"prefer_zone": false, "zones": fields{"10.0.1.0/24": "a"}}}), "locality.zones | locality.prefer_zone is not true"},
		"an address":           {zones(fields{"10.0.1.1": "a"}), "locality.zones | 10.0.1.1"},
		"bits beyond the mask": {zones(fields{"10.0.1.1/24": "a"}), "locality.zones | 10.0.1.0/24"},
		"junk":                 {zones(fields{"junk": "a"}), "locality.zones | junk"},
		"no zone":              {zones(fields{"10.0.1.0/24": ""}), "locality.zones | is empty"},
		"a zone of a blank":    {zones(fields{"10.0.1.0/24": " "}), "locality.zones | is empty"},
		"a null zone":          {zones(fields{"10.0.1.0/24": nil}), "locality.zones | null"},
		"IPv4 as IPv6":         {zones(fields{"::ffff:10.0.1.0/120": "a"}), "locality.zones | IPv6"},
		"unknown key":          {on(fields{"zone": "a"}), " | No argument or block type is named"},
	})
}

func TestReadinessProbesAreChecked(t *testing.T) {
	t.Parallel()
	probed := func(probe fields, changes fields) fields {
		second := with(fields{"name": "second", "image": "app:1", "mesh": with(fields{"readiness_probe": probe}, changes)}, nil)
		return meshTask(fields{"container": append(container(nil), second)}) // its place among the probes is not the one among the containers
	}
	checkRows(t, "consulecs_mesh_task", map[string]row{
		"http":                      {probed(fields{"type": "http", "port": 8080, "path": "/ready?deep=1"}, nil), ""},
		"tcp":                       {probed(fields{"type": "tcp", "port": 8080}, fields{"health_sync": true}), ""},
		"grpc":                      {probed(fields{"type": "grpc", "port": 8080, "service": "a.B"}, nil), ""},
		"no type":                   {probed(fields{"port": 1}, nil), "container[1].mesh.readiness_probe.type | is missing"},
		"no port":                   {probed(fields{"type": "tcp"}, nil), "container[1].mesh.readiness_probe.port | is missing"},
		"a command":                 {probed(fields{"type": "exec", "port": 1}, nil), "container[1].mesh.readiness_probe.type | exec"},
		"an empty type":             {probed(fields{"type": "", "port": 1}, nil), "container[1].mesh.readiness_probe.type | is empty"},
		"port 0":                    {probed(fields{"type": "tcp", "port": 0}, nil), "container[1].mesh.readiness_probe.port | 0"},
		"port 65536":                {probed(fields{"type": "tcp", "port": 65536}, nil), "container[1].mesh.readiness_probe.port | 65536"},
		"a path of tcp":             {probed(fields{"type": "tcp", "port": 1, "path": "/"}, nil), "container[1].mesh.readiness_probe.path | http alone"},
		"a relative path":           {probed(fields{"type": "http", "port": 1, "path": "ready"}, nil), "container[1].mesh.readiness_probe.path | ready"},
		"a service of http":         {probed(fields{"type": "http", "port": 1, "service": "a"}, nil), "container[1].mesh.readiness_probe.service | grpc alone"},
		"answers that nobody hears": {probed(fields{"type": "tcp", "port": 1}, fields{"health_sync": false}), "container[1].mesh.health_sync | readiness probe"},
		"unknown key":               {probed(fields{"type": "tcp", "port": 1, "interval": 1}, nil), " | No argument or block type is named"},
		"health sync of neither":    {meshTask(fields{"container": container(fields{"mesh": fields{"health_sync": true}})}), "container[0].mesh.health_sync | no health check"},
		"a probe of a nameless one": {meshTask(fields{"container": container(fields{"name": "", "mesh": fields{"readiness_probe": fields{"type": "tcp", "port": 1}}})}), "container[0].name | 1 to 255"},
		"probes of two of one name": {meshTask(fields{"container": append(container(fields{"mesh": fields{"readiness_probe": fields{"type": "tcp", "port": 1}}}), container(fields{"mesh": fields{"readiness_probe": fields{"type": "tcp", "port": 1}}})...)}), "container[1].name | app"},
	})
}

func TestShutdownDelaysAreChecked(t *testing.T) {
	t.Parallel()
	delayed := func(delay string, changes fields) fields {
		return meshTask(fields{"container": container(with(fields{"entry_point": []any{}, "command": []any{"/app"}, "mesh": fields{"shutdown_delay": delay}}, changes))})
	}
	const at = "container[0].mesh.shutdown_delay | "
	checkRows(t, "consulecs_mesh_task", map[string]row{
		"none":                    {delayed("0s", nil), ""},
		"none of nobody":          {delayed("0s", fields{"command": nil}), ""},
		"10s":                     {delayed("10s", nil), ""},
		"an entry point alone":    {delayed("10s", fields{"command": nil, "entry_point": []any{"/app"}}), ""},
		"a minute of two":         {delayed("1m", fields{"stop_timeout": 120}), ""},
		"its own mount":           {delayed("10s", fields{"mount_point": []any{fields{"source_volume": "consul_data", "container_path": "/consul", "read_only": true}}}), ""},
		"a number":                {delayed("10", nil), at + "whole seconds such as 10s"},
		"negative":                {delayed("-1s", nil), at + "-1s"},
		"a fraction":              {delayed("1.5s", nil), at + "1.5s"},
		"milliseconds":            {delayed("100ms", nil), at + "100ms"},
		"as long as ECS waits":    {delayed("30s", nil), at + "ECS kills the container 30 s after SIGTERM: want less, or a longer container[0].stop_timeout"},
		"99999 seconds":           {delayed("99999s", fields{"stop_timeout": 120}), at + "120 s after SIGTERM"},
		"longer than the proxy's": {delayed("118s", fields{"stop_timeout": 120}), at + "the proxy ends 115 s after SIGTERM at the latest"},
		"no command":              {delayed("10s", fields{"command": nil}), at + "set container[0].entry_point and container[0].command to what its ENTRYPOINT and CMD say"},
		"an empty command":        {delayed("10s", fields{"command": []any{}}), at + "container[0].command"},
		"no wait":                 {delayed("10s", fields{"mesh": fields{"shutdown_delay": "10s", "wait_for_proxy": false}}), at + "container[0].mesh.wait_for_proxy is false"},
		"a mount in the way": {with(delayed("10s", fields{"mount_point": []any{fields{"source_volume": "own", "container_path": "/consul"}}}), fields{"task": fields{"volume": []any{fields{"name": "own"}}}}),
			"container[0].mount_point[0].container_path | leave container[0].mesh.shutdown_delay out"},
	})
}

func TestEnterpriseScopesAreChecked(t *testing.T) {
	t.Parallel()
	service := func(changes fields) fields { return meshTask(fields{"service": with(fields{"port": 8080}, changes)}) }
	within := fields{"service": fields{"port": 8080, "namespace": "shop", "partition": "retail"}}
	checkRows(t, "consulecs_mesh_task", map[string]row{
		"neither":                     {service(nil), ""},
		"both":                        {service(fields{"namespace": "shop", "partition": "retail"}), ""},
		"partition alone":             {service(fields{"partition": "retail"}), "service.namespace | missing, which service.partition needs"},
		"namespace alone":             {service(fields{"namespace": "shop"}), "service.partition | missing, which service.namespace needs"},
		"a namespace's name":          {service(fields{"namespace": "my_shop", "partition": "retail"}), "service.namespace | my_shop"},
		"a partition's name":          {service(fields{"namespace": "shop", "partition": "*"}), "service.partition | *"},
		"upstream elsewhere":          {meshTask(with(fields{"upstream": upstream(fields{"destination_namespace": "money", "destination_partition": "core"})}, within)), ""},
		"upstream's namespace":        {meshTask(fields{"upstream": upstream(fields{"destination_namespace": "a.b"})}), "upstream[0].destination_namespace | a.b"},
		"upstream's partition":        {meshTask(fields{"upstream": upstream(fields{"destination_partition": "-"})}), "upstream[0].destination_partition | -"},
		"a peer and a datacenter":     {meshTask(fields{"upstream": upstream(fields{"destination_peer": "east", "datacenter": "dc2"})}), "upstream[0].datacenter | upstream[0].destination_peer is set"},
		"a peer of another partition": {meshTask(with(fields{"upstream": upstream(fields{"destination_peer": "east", "destination_partition": "core"})}, within)), "upstream[0].destination_partition | retail"},
		"a datacenter from a partition": {meshTask(with(fields{"upstream": upstream(fields{"datacenter": "dc2"})}, within)),
			"upstream[0].datacenter | use a cluster peering and upstream[0].destination_peer"},
		"one destination in two namespaces": {meshTask(fields{"upstream": append(upstream(fields{"destination_namespace": "a"}), upstream(fields{"destination_namespace": "b", "local_bind_port": 1235})...)}), ""},
	})
}
