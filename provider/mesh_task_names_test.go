package provider_test

import (
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
)

func TestNamesAreChecked(t *testing.T) {
	t.Parallel()
	on := func(changes fields) fields { return meshTask(fields{"names": with(fields{"enabled": true}, changes)}) }
	ports := func(list ...any) fields { return on(fields{"ports": list}) }
	controlled := func(value string) fields {
		return with(on(nil), fields{"container": container(fields{"system_control": []any{fields{"namespace": "net.ipv4.ip_unprivileged_port_start", "value": value}}})})
	}
	where := func(block, version string) fields {
		return with(on(nil), fields{block: fields{"cluster": "c", "subnets": []any{"subnet-1"}, "platform_version": version}})
	}
	rows := map[string]row{
		"off":                       {meshTask(fields{"names": fields{}}), ""},
		"off by its name":           {meshTask(fields{"names": fields{"enabled": false}}), ""},
		"on":                        {on(nil), ""},
		"sixteen ports":             {ports(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 65535), ""},
		"seventeen ports":           {ports(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17), "names.ports | 17 ports, want 1 to 16"},
		"no port but the default":   {ports(), ""},
		"port 0":                    {ports(80, 0), "names.ports | 0, want 1 to 65535"},
		"port 65536":                {ports(65536), "names.ports | 65536"},
		"port -1":                   {ports(-1), "names.ports | -1"},
		"a port with a fraction":    {ports(80.5), "names.ports | want a whole number"},
		"a port that is no number":  {ports("http"), " | number"},
		"a null port":               {ports(nil), "names.ports | null"},
		"unknown key":               {on(fields{"port": 80}), " | No argument or block type is named"},
		"an attribute":              {meshTask(fields{"names": true}), " | object"},
		"ports of nothing":          {meshTask(fields{"names": fields{"ports": []any{80}}}), "names.ports | names.enabled is not true"},
		"only calls others":         {with(on(nil), fields{"outbound_only": true, "service": nil}), ""},
		"at the service":            {ports(8080), "names.ports | is 8080, the port of the service"},
		"at a container's port":     {with(ports(80, 9100), fields{"container": container(fields{"port_mapping": []any{fields{"container_port": 9100}}})}), "container[0].port_mapping[0].container_port | has port 9100, where Envoy listens for names: choose other names.ports"},
		"at a container's range":    {with(on(nil), fields{"container": container(fields{"port_mapping": []any{fields{"container_port_range": "70-90"}}})}), "container[0].port_mapping[0].container_port_range | has port 80"},
		"at an upstream":            {with(ports(1234), fields{"upstream": upstream(nil)}), "upstream[0].local_bind_port | is 1234, the port of Envoy's listener for names"},
		"at the public listener":    {ports(20000), "names.ports | is 20000, the port of the public listener"},
		"at the ready listener":     {ports(22000), "names.ports | is 22000, the port of the readiness listener"},
		"at Envoy's admin port":     {ports(19000), "names.ports | is 19000, the port of Envoy's admin interface"},
		"at the dataplane's own":    {ports(20300), "names.ports | is 20300, the port of the dataplane's"},
		"at DNS's":                  {ports(53), "names.ports | is 53, the port of the DNS proxy"},
		"at a readiness probe":      {with(on(nil), fields{"container": container(fields{"mesh": fields{"readiness_probe": fields{"type": "tcp", "port": 80}}})}), "container[0].mesh.readiness_probe.port | is 80, where Envoy listens for names"},
		"at a path's application":   {with(on(nil), fields{"proxy": fields{"expose": fields{"path": []any{fields{"path": "/h", "listener_port": 21500, "local_path_port": 80}}}}}), "proxy.expose.path[0].local_path_port | is 80, where Envoy listens for names"},
		"a container at DNS's port": {with(on(nil), fields{"container": container(fields{"port_mapping": []any{fields{"container_port": 53, "protocol": "udp"}}})}), "container[0].port_mapping[0].container_port | has port 53, where with names.enabled the task's name server listens"},
		"a read-only mesh-init":     {with(on(nil), fields{"sidecars": fields{"image": "a", "mesh_init": fields{"readonly_root_filesystem": true}}}), "sidecars.mesh_init.readonly_root_filesystem | with names.enabled mesh-init writes /etc/resolv.conf"},
		"a read-only application":   {with(on(nil), fields{"container": container(fields{"readonly_root_filesystem": true, "user": "65534"})}), ""},
		"the same parameter":        {controlled("0"), ""},
		"another parameter":         {controlled("1024"), `container[0].system_control[0].value | is "1024", but with names.enabled the task needs 0 of net.ipv4.ip_unprivileged_port_start`},
		"beside redirection":        {with(on(nil), fields{"transparent_proxy": fields{"enabled": true}, "task": fields{"launch_types": []any{"EC2"}}}), "names.enabled | transparent_proxy.enabled is true as well"},
		"beside redirection, off":   {with(on(nil), fields{"transparent_proxy": fields{"enabled": false}}), ""},
		"several services":          {with(on(nil), fields{"service": []any{fields{"port": 8080}, fields{"name": "admin", "port": 8081}}}), ""},
	}
	for _, launchType := range []string{"FARGATE", "EC2", "MANAGED_INSTANCES"} {
		rows["on "+launchType] = row{with(on(nil), fields{"task": fields{"launch_types": []any{launchType}}}), ""}
	}
	for _, block := range []string{"ecs_service", "standalone_task"} {
		for version, refused := range map[string]bool{"1.3.0": true, "1.0.0": true, "1.4.0": false, "1.10.0": false, "LATEST": false} {
			want := ""
			if refused {
				want = fmt.Sprintf("%s.platform_version | is %q, which does not take the kernel parameter that names.enabled needs: want 1.4.0 or later, or LATEST", block, version)
			}
			rows[block+" on platform "+version] = row{where(block, version), want}
		}
	}
	checkRows(t, "consulecs_mesh_task", rows)
}

func TestAListedUpstreamBesideNamesIsAWarning(t *testing.T) {
	t.Parallel()
	p := speak(t)
	config := meshTask(fields{"names": fields{"enabled": true}, "upstream": upstream(nil)})
	said, plan := p.plan(t, "consulecs_mesh_task", object(t, p.block("consulecs_mesh_task"), config))
	if plan == nil || len(said) != 1 || isError(said[0]) || said[0].Attribute == nil {
		t.Fatalf("want a plan and a warning at an attribute, got %v", detailsOf(said))
	}
}

func TestNamesLiveAndAreImported(t *testing.T) {
	t.Parallel()
	const family = "named"
	c := startMoto(t)
	config := func(names string) string {
		return c.provider() + fmt.Sprintf(`
resource "consulecs_mesh_task" "this" {
  family = %q
  service { port = 9090 }
  %s
  container {
    name  = "app"
    image = "app:1"
    readonly_root_filesystem = true
  }
}
`, family, names)
	}
	step := func(names string) resource.TestStep { return resource.TestStep{Config: config(names)} }
	imported := resource.TestStep{ResourceName: meshTaskName, ImportState: true, ImportStateVerify: true, ImportStateVerifyIgnore: spelledOut, ImportStateId: family}
	resource.UnitTest(t, resource.TestCase{ProtoV6ProviderFactories: factories(), Steps: []resource.TestStep{
		step("names {\n    enabled = true\n    ports = [8000, 80]\n  }"), imported, step("names { enabled = true }"), imported, step(""),
	}})
}
