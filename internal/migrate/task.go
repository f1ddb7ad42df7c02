package migrate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// task is one kind of task: what becomes a resource consulecs_mesh_task.
type task struct {
	of         *value // where it comes from, for notes
	service    string // name in Consul
	port       int64  // 0: it only calls
	outlier    bool   // its proxy leaves out instances that fail
	listener   int64  // of the proxy; 0: the default
	further    []further
	upstreams  []upstream
	definition *value // ECS's; nil: there is none
	ecsService *value // nil: there is none
	sidecars   *value // Service Connect's log configuration; nil: there is none
	dropped    string // name of the container that goes: App Mesh's Envoy
}

// further is a service that a task is besides the first, with a proxy of its own.
type further struct {
	service  string
	port     int64
	listener int64 // of its proxy; 0: the default
}

// provides adds a service to what a task is, the first one first. It reports whether the task may be one more.
func (t *task) provides(service string, port, listener int64) bool {
	switch {
	case t.port == 0:
		t.service, t.port, t.listener = service, port, listener
	case len(t.further)+1 == mesh.MaxServices:
		return false
	default:
		t.further = append(t.further, further{service, port, listener})
	}
	return true
}

// services are the names of those that a task is in Consul.
func (t *task) services() []string {
	all := []string{t.service}
	for _, f := range t.further {
		all = append(all, f.service)
	}
	return all
}

// upstream is a service that a task calls.
type upstream struct {
	service string
	port    int64 // local
}

// family is that of the new tasks, beside the old ones.
func (t *task) family(d *draft) string {
	name := t.service
	if t.definition != nil {
		name = cmp.Or(t.definition.text(d, "family"), name)
	}
	return name + suffix
}

// suffix tells the new task definitions and ECS services from those that they run beside.
const suffix = "-mesh"

// firstFree is the first of the ports that upstreams get which cannot have their own.
const firstFree = 10001

// takes are the ports that a task has taken, whatever it calls.
func (t *task) takes(d *draft) map[int64]bool {
	taken := map[int64]bool{
		t.port: true, mesh.PortPublicListener: true, mesh.PortOutboundListener: true, mesh.PortReadiness: true, mesh.PortEnvoyAdmin: true, mesh.PortDNS: true,
		t.listener: true,
	}
	for i, f := range t.further {
		n := int64(i + 1)
		for _, port := range []int64{f.port, cmp.Or(f.listener, mesh.PortPublicListener+n), mesh.PortReadiness + n, mesh.PortEnvoyAdmin + n} {
			taken[port] = true
		}
	}
	if t.definition != nil {
		for _, c := range t.definition.each(d, "containerDefinitions") {
			for _, m := range c.each(d, "portMappings") {
				if port, ok := m.number(d, "containerPort"); ok {
					taken[port] = true
				}
			}
		}
	}
	return taken
}

// call adds an upstream, at the port by which it was called if that is free. It gives the local port.
func (t *task) call(d *draft, service string, port int64) int64 {
	taken := t.takes(d)
	for _, u := range t.upstreams {
		if u.service == service {
			return u.port
		}
		taken[u.port] = true
	}
	if port < 1024 || taken[port] { // below that the proxy, which is not root, cannot listen
		for port = firstFree; taken[port]; port++ {
		}
	}
	t.upstreams = append(t.upstreams, upstream{service, port})
	return port
}

// readDefinition takes in what ECS's definition says about itself, and tells what is not taken over.
func (t *task) readDefinition(d *draft) {
	v := t.definition
	v.drop("taskDefinitionArn", "revision", "status", "compatibilities", "registeredAt", "registeredBy", "deregisteredAt", "requiresAttributes")
	for key, attribute := range map[string]string{"taskRoleArn": "iam.task_role", "executionRoleArn": "iam.execution_role"} {
		d.noteIf(v, key, "is %s: the provider makes a role of its own. Give that the policies which the containers need by %s.policy_arns, or keep the role by %s.arn", v.textNow(key), attribute, attribute)
	}
	d.noteIf(v, "proxyConfiguration", "has App Mesh redirect all traffic of the task. Here the application calls the local ports of upstreams; on EC2, transparent_proxy redirects traffic")
	if mode := v.text(d, "networkMode"); mode != "awsvpc" && mode != "" {
		d.note(v.object["networkMode"], "is %s: tasks of the mesh have awsvpc. Host ports go, and security groups are the task's own", mode)
	}
	for _, c := range v.each(d, "containerDefinitions") {
		for _, key := range []string{"links", "extraHosts", "dnsServers", "dnsSearchDomains", "hostname"} {
			if c.has(key) {
				d.noteIf(c, key, "is not to be had in network mode awsvpc: leave it out of container_definitions_json, where it was left as it is")
			}
		}
	}
}

// textNow is a text that others ask for, too.
func (v *value) textNow(key string) string {
	if child := v.object[key]; child != nil {
		return fmt.Sprint(child.plain)
	}
	return ""
}

// containers are ECS's definitions as they are, without the one that goes and the waits for it.
func (t *task) containers(d *draft) []any {
	var all []any
	for _, c := range t.definition.each(d, "containerDefinitions") {
		if t.dropped != "" && c.textNow("name") == t.dropped {
			c.know()
			continue
		}
		raw := c.raw().(map[string]any)
		if waits, ok := raw["dependsOn"].([]any); ok {
			raw["dependsOn"] = slices.DeleteFunc(waits, func(w any) bool {
				one, _ := w.(map[string]any)
				return t.dropped != "" && one["containerName"] == t.dropped
			})
		}
		for _, empty := range emptyKeys(raw) {
			delete(raw, empty)
		}
		all = append(all, raw)
	}
	return all
}

// emptyKeys are those that ECS prints though they say nothing.
func emptyKeys(of map[string]any) (keys []string) {
	for key, v := range of {
		switch v := v.(type) {
		case nil:
			keys = append(keys, key)
		case []any:
			if len(v) == 0 && key != "command" && key != "entryPoint" {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// trimmed is a name in the letters that Consul takes.
func trimmed(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	return strings.Trim(clean, "-_")
}

// environment is the value of an environment variable of a container.
func environment(d *draft, c *value, names ...string) string {
	for _, v := range c.each(d, "environment") {
		if slices.Contains(names, v.text(d, "name")) {
			return v.text(d, "value")
		}
	}
	return ""
}
