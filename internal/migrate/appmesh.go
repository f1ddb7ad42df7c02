package migrate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// appMeshKeys are those of the documents that AppMesh takes.
var appMeshKeys = []string{"mesh", "virtualNode", "virtualService", "virtualRouter", "route", "virtualGateway", "gatewayRoute", "taskDefinition", "services"}

// appMesh is a mesh of App Mesh, as documents tell of it.
type appMesh struct {
	*draft
	nodes    map[string]*meshNode
	services map[string]*meshService // by the name that callers use
	routers  map[string]*meshRouter
	name     string
}

// meshNode is a virtual node: a kind of task.
type meshNode struct {
	v, spec   *value
	task      *task
	listeners []meshListener // each is a service in Consul, the first the task's first
}

// meshService is a virtual service: a name that callers use, of a virtual node or of a virtual router.
type meshService struct {
	v            *value
	node, router string
	name         string // of the service in Consul
}

// meshRouter is a virtual router with its routes.
type meshRouter struct {
	v      *value
	port   int64
	routes []*value
}

// AppMesh turns a mesh of App Mesh into tasks and config entries. The documents are what AWS's command prints of the mesh's parts
// (describe-mesh, describe-virtual-node and so on), of the task definitions and of the ECS services.
func AppMesh(documents []string) (Result, error) {
	m := appMesh{start(documents, appMeshKeys), map[string]*meshNode{}, map[string]*meshService{}, map[string]*meshRouter{}, ""}
	m.readNodes()
	m.readServices()
	m.readRouters()
	m.readRest()
	if len(m.nodes) == 0 && len(m.wrong) == 0 {
		return Result{}, fmt.Errorf("%w: want the virtual nodes, as aws appmesh describe-virtual-node prints them", errNoTasks)
	}
	m.readDefinitions()
	if len(m.wrong) > 0 {
		return m.finish()
	}
	m.nameServices()
	for _, name := range slices.Sorted(maps.Keys(m.nodes)) {
		m.convertNode(m.nodes[name])
	}
	for _, name := range slices.Sorted(maps.Keys(m.services)) {
		m.convertService(m.services[name])
	}
	m.tellUnused()
	return m.finish()
}

// part is one of the mesh's parts. Parts of two meshes have names in common.
func (m *appMesh) part(v *value) (spec *value) {
	v.drop("metadata", "status")
	of := v.text(m.draft, "meshName")
	if m.name == "" {
		m.name = of
	}
	if of != m.name {
		m.wrong.Add(v.at.Child("meshName"), "is %s, another document's is %s: convert one mesh at a time", of, m.name)
	}
	return v.in(m.draft, "spec")
}

func (m *appMesh) readNodes() {
	for _, v := range m.all("virtualNode") {
		n := &meshNode{v: v, spec: m.part(v)}
		name := v.text(m.draft, "virtualNodeName")
		if m.nodes[name] != nil {
			m.wrong.Add(v.at, "is the virtual node %s a second time", name)
		}
		m.nodes[name] = n
		n.task = &task{of: v, service: m.serviceName(v, name)}
		m.tasks = append(m.tasks, n.task)
		for _, l := range n.spec.each(m.draft, "listeners") {
			m.readListener(n, l)
		}
	}
	m.wantDistinctServices()
}

// wantDistinctServices refuses names of Consul's that two services would have: what AWS tells apart may be one name in lower case.
func (m *appMesh) wantDistinctServices() {
	of := map[string]string{}
	for _, v := range m.all("virtualNode") {
		name := v.textNow("virtualNodeName")
		for _, service := range m.nodes[name].task.services() {
			if other, taken := of[service]; taken && other != name { // of its own listeners, each port makes another name
				m.wrong.Add(v.at, "becomes the service %s in Consul, as the virtual node %s does: rename one of them in the document", service, other)
			}
			of[service] = name
		}
	}
}

func (m *appMesh) readServices() {
	for _, v := range m.all("virtualService") {
		provider := m.part(v).in(m.draft, "provider")
		name := v.text(m.draft, "virtualServiceName")
		if m.services[name] != nil {
			m.wrong.Add(v.at, "is the virtual service %s a second time", name)
		}
		m.services[name] = &meshService{
			v: v, node: provider.in(m.draft, "virtualNode").text(m.draft, "virtualNodeName"), router: provider.in(m.draft, "virtualRouter").text(m.draft, "virtualRouterName"),
		}
	}
}

func (m *appMesh) readRouters() {
	for _, v := range m.all("virtualRouter") {
		r := &meshRouter{v: v}
		for i, l := range m.part(v).each(m.draft, "listeners") {
			port, _ := l.in(m.draft, "portMapping").number(m.draft, "port")
			l.in(m.draft, "portMapping").drop("protocol") // the targets' counts
			if i == 0 {
				r.port = port
			} else {
				m.note(l, "is a further listener: a service of Consul is called at one port")
			}
		}
		m.routers[v.text(m.draft, "virtualRouterName")] = r
	}
	for _, v := range m.all("route") {
		m.part(v)
		if r := m.routers[v.text(m.draft, "virtualRouterName")]; r != nil {
			r.routes = append(r.routes, v)
		} else {
			m.wrong.Add(v.at.Child("virtualRouterName"), "is %s, which no document describes: add what aws appmesh describe-virtual-router prints of it", v.text(m.draft, "virtualRouterName"))
		}
	}
}

// readRest tells of what has no equal.
func (m *appMesh) readRest() {
	for _, v := range m.all("mesh") {
		spec := m.part(v)
		spec.drop("serviceDiscovery")
		if spec.in(m.draft, "egressFilter").text(m.draft, "type") == "DROP_ALL" {
			m.note(spec.object["egressFilter"], "is DROP_ALL: with transparent_proxy, the config entry mesh does the same for the whole of Consul's mesh, by TransparentProxy.MeshDestinationsOnly = true. Without it, security groups bound what a task reaches")
		}
	}
	const gateway = "has no resource in this version: a gateway of Consul (api-gateway, ingress-gateway) takes its place, or a load balancer in front of ecs_service.load_balancer. Keep it until the services behind it have moved"
	for _, kind := range []string{"virtualGateway", "gatewayRoute"} {
		for _, v := range m.all(kind) {
			m.note(v, gateway)
		}
	}
}

// readDefinitions finds the virtual node of each task definition, by what App Mesh's Envoy is told.
func (m *appMesh) readDefinitions() {
	for _, v := range m.all("taskDefinition") {
		envoy, node := m.envoyOf(v)
		if n := m.nodes[node]; n == nil {
			m.note(v, "has no container whose APPMESH_RESOURCE_ARN names a virtual node of the documents: nothing was made of it")
		} else if n.task.definition != nil {
			m.note(v, "is the second definition for virtual node %s: of this one nothing was made. Two kinds of tasks for one service take two resources with the same service.name", node)
		} else {
			n.task.definition, n.task.dropped = v, envoy.textNow("name")
			m.note(envoy, "is App Mesh's Envoy, and goes with its settings: the task gets a proxy of Consul's mesh. Its size, log and limits are attributes of sidecars.dataplane")
		}
	}
	m.matchServices()
}

func (m *appMesh) envoyOf(definition *value) (envoy *value, node string) {
	for _, c := range definition.each(m.draft, "containerDefinitions") {
		resource := environment(m.draft, c, "APPMESH_RESOURCE_ARN", "APPMESH_VIRTUAL_NODE_NAME")
		if _, name, ok := strings.Cut(resource, "/virtualNode/"); ok {
			return c, name
		}
	}
	return nil, ""
}

// matchServices gives ECS services to the tasks whose definitions they run.
func (d *draft) matchServices() {
	for _, doc := range d.documents {
		d.noteIf(doc, "failures", "tells of what AWS did not describe: see whether it is missing here")
		d.noteIf(doc, "tags", "are tags of the old definition: write those that are wanted in tags")
		for _, v := range doc.each(d, "services") {
			runs := v.text(d, "taskDefinition")
			i := slices.IndexFunc(d.tasks, func(t *task) bool {
				return t.definition != nil && t.ecsService == nil && t.definition.textNow("taskDefinitionArn") == runs
			})
			if i < 0 {
				d.note(v, "runs %s, which is not the definition of a task in the documents: nothing was made of it. Add what aws ecs describe-task-definition prints of it", runs)
				continue
			}
			d.tasks[i].ecsService = v
		}
	}
}

// nameServices gives virtual services their names in Consul: that of their node, or the first label of their own, or all of it where
// the label is another's.
func (m *appMesh) nameServices() {
	first := map[string]int{}
	for name := range m.services {
		label, _, _ := strings.Cut(name, ".")
		first[label]++
	}
	for name, s := range m.services {
		if n := m.nodes[s.node]; n != nil {
			s.name = n.task.service
			continue
		}
		label, _, _ := strings.Cut(name, ".")
		s.name = m.serviceName(s.v, label)
		if first[label] > 1 || m.isAnothers(s) {
			s.name = m.serviceName(s.v, strings.ReplaceAll(name, ".", "-"))
		}
	}
	m.wantDistinctNames()
}

// wantDistinctNames refuses names of Consul's that two virtual services would have, or one and a node that it does not lead to.
func (m *appMesh) wantDistinctNames() {
	of := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(m.services)) {
		s := m.services[name]
		if m.nodes[s.node] != nil {
			continue
		}
		other, taken := of[s.name]
		if taken {
			m.wrong.Add(s.v.at, "becomes the service %s in Consul, as the virtual service %s does: rename one of them in the document", s.name, other)
		} else if m.isAnothers(s) {
			m.wrong.Add(s.v.at, "becomes the service %s in Consul, as a listener of a virtual node does: rename one of them in the document", s.name)
		}
		of[s.name] = name
	}
}

// isTaken reports whether a node, a virtual service or a split has a name in Consul.
func (m *appMesh) isTaken(service string) bool {
	if m.nodeOf(service) != nil || m.entries[[2]string{kindSplitter, service}] != nil {
		return true
	}
	for _, s := range m.services {
		if s.name == service {
			return true
		}
	}
	return false
}

// isAnothers reports whether the name is that of a node's service, and not all that is sent to this one gets there: an entry of the
// name would lead away those who call the node's.
func (m *appMesh) isAnothers(s *meshService) bool {
	targets := m.targets(s)
	return m.nodeOf(s.name) != nil && (len(targets) == 0 || slices.ContainsFunc(targets, func(t meshTarget) bool {
		return m.nodes[t.node] == nil || m.service(t) != s.name
	}))
}

// convertNode makes a task of a virtual node.
func (m *appMesh) convertNode(n *meshNode) {
	for _, l := range n.listeners {
		m.entry(kindDefaults, l.service)["Protocol"] = l.protocol
	}
	const tls = "is about TLS to the services that are called: in Consul's mesh it is always on, and mutual. Nothing has to be set"
	m.noteIf(n.spec.in(m.draft, "backendDefaults"), "clientPolicy", tls)
	m.noteIf(n.spec, "logging", "has no equal for one service: the config entry proxy-defaults turns access logs on for all, by AccessLogs, such as {Enabled = true, Type = \"stdout\"}")
	m.noteIf(n.spec, "serviceDiscovery", "is not needed: the mesh finds tasks in Consul's catalog. Keep what registers the tasks there while callers outside of the mesh use it (ecs_service.service_registry)")
	for _, b := range n.spec.each(m.draft, "backends") {
		of := b.in(m.draft, "virtualService")
		m.noteIf(of, "clientPolicy", tls)
		m.convertBackend(n, of)
	}
	if n.task.definition == nil {
		m.tell(n.v, "is in no task definition of the documents: the block container has a name and an image to be replaced. Add what aws ecs describe-task-definition prints, whose Envoy has APPMESH_RESOURCE_ARN")
	}
}

// convertBackend makes an upstream of a backend, with what the callee asks of its callers, and the right to call it.
func (m *appMesh) convertBackend(n *meshNode, of *value) {
	name := of.text(m.draft, "virtualServiceName")
	s := m.services[name]
	if s == nil {
		label, _, _ := strings.Cut(name, ".")
		service := m.serviceName(of, label)
		port := n.task.call(m.draft, service, 0)
		m.tell(of, "is a virtual service that no document describes: the task calls service %s at localhost:%d, which may have another name", service, port)
		m.allow(service, n.task.service)
		return
	}
	was := m.portOf(s)
	m.callOne(n, of, name, s.name, was, m.targets(s))
	if node := m.nodes[s.node]; node != nil { // callers reach each of its ports by the name
		for _, l := range node.listeners[min(1, len(node.listeners)):] {
			m.callOne(n, of, name, l.service, l.port, []meshTarget{{s.node, l.port}})
		}
	}
}

// callOne makes an upstream of one port of a backend.
func (m *appMesh) callOne(n *meshNode, of *value, name, service string, was int64, targets []meshTarget) {
	port := n.task.call(m.draft, service, was)
	hint := fmt.Sprintf("On EC2 and managed instances, transparent_proxy with dns does without: the service is %s.virtual.consul then", service)
	if slices.ContainsFunc(targets, func(t meshTarget) bool { return m.nodes[t.node] != nil && len(m.nodes[t.node].listeners) > 1 }) {
		hint = "It is one of several services of a task, so its callers cannot do with transparent_proxy instead"
	}
	m.tell(of, "was called at %s:%d, and is service %s at localhost:%d: change the address in the application's configuration. %s", name, was, service, port, hint)
	told := map[string]bool{}
	for _, target := range targets {
		node := m.nodes[target.node]
		if node == nil {
			continue // told where the route is read
		}
		callee := node.at(target.port)
		m.allow(callee.service, n.task.service)
		for key, settings := range map[string]map[string]any{"PassiveHealthCheck": callee.outlier, "Limits": callee.limits} {
			switch {
			case len(settings) == 0:
			case told[key]:
				m.tell(node.v, "asks of its callers what another target of %s does, too (%s): the first one's counts for both", name, key)
			default:
				told[key] = true
				m.override(n.task.service, service)[key] = settings
			}
		}
	}
}

// portOf is the port at which a virtual service is called.
func (m *appMesh) portOf(s *meshService) int64 {
	if n := m.nodes[s.node]; n != nil {
		return n.task.port
	}
	if r := m.routers[s.router]; r != nil {
		return r.port
	}
	return 0
}
