package migrate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// endpoint is a name that Service Connect gives a port of a task, and at which every client of the namespace reaches it.
type endpoint struct {
	service string // in Consul
	names   []alias
	from    *task
}

// alias is an address that clients call.
type alias struct {
	name string
	port int64
}

// connected is an ECS service with Service Connect.
type connected struct {
	config    *value
	namespace string
	task      *task
}

// dnsName is under which clients find a name of the namespace. ECS prints a namespace by its ARN, which does not tell its name.
func (c connected) dnsName(name string) string {
	if strings.HasPrefix(c.namespace, "arn:") {
		return name + ".<namespace>"
	}
	return name + "." + c.namespace
}

// ServiceConnect turns ECS services with Service Connect into tasks and config entries. The documents are what AWS's command prints
// of the services (describe-services) and of their task definitions (describe-task-definition).
func ServiceConnect(documents []string) (Result, error) {
	d := start(documents, []string{"services", "taskDefinition"})
	definitions := map[string]*value{}
	for _, v := range d.all("taskDefinition") {
		definitions[v.textNow("taskDefinitionArn")] = v
	}
	var all []connected
	for _, doc := range d.documents {
		d.noteIf(doc, "failures", "tells of what AWS did not describe: see whether it is missing here")
		d.noteIf(doc, "tags", "are tags of the old definition: write those that are wanted in tags")
		for _, v := range doc.each(d, "services") {
			if c, ok := d.connect(v, definitions); ok {
				all = append(all, c)
			}
		}
	}
	for _, v := range definitions {
		if !slices.ContainsFunc(d.tasks, func(t *task) bool { return t.definition == v }) {
			d.note(v, "is run by no service of the documents that has Service Connect: nothing was made of it")
		}
	}
	if len(d.tasks) == 0 && len(d.wrong) == 0 {
		return Result{}, fmt.Errorf("%w: want services with Service Connect, as aws ecs describe-services prints them", errNoTasks)
	}
	d.convertAll(all)
	return d.finish()
}

// connect takes an ECS service in, if Service Connect is on. Its configuration stands with the deployment that is the current one.
func (d *draft) connect(v *value, definitions map[string]*value) (connected, bool) {
	config := v.in(d, "serviceConnectConfiguration")
	for _, deployment := range v.each(d, "deployments") {
		if deployment.textNow("status") == "PRIMARY" && deployment.has("serviceConnectConfiguration") {
			config = deployment.in(d, "serviceConnectConfiguration")
		}
	}
	name := v.textNow("serviceName")
	if !config.flag(d, "enabled") {
		d.note(v, "is service %s without Service Connect: nothing was made of it", name)
		return connected{}, false
	}
	t := &task{of: v, service: d.serviceName(v, name), ecsService: v, outlier: true, definition: definitions[v.text(d, "taskDefinition")]}
	if t.definition == nil {
		d.wrong.Add(v.at.Child("taskDefinition"), "is %s, which no document describes: add what aws ecs describe-task-definition prints of it", v.text(d, "taskDefinition"))
	}
	d.tasks = append(d.tasks, t)
	return connected{config, config.text(d, "namespace"), t}, true
}

// convertAll makes upstreams of what clients can call, once it is known what there is.
func (d *draft) convertAll(all []connected) {
	if len(d.wrong) > 0 {
		return
	}
	byNamespace := map[string][]endpoint{}
	for _, c := range all {
		byNamespace[c.namespace] = append(byNamespace[c.namespace], d.serve(c)...)
	}
	named := map[string]bool{}
	for _, c := range all {
		for _, service := range c.task.services() {
			if named[service] {
				d.wrong.Add(c.task.of.at, "becomes the service %s in Consul, as another one does: give one of them another discoveryName in the document", service)
			}
			named[service] = true
		}
	}
	for _, c := range all {
		for _, e := range byNamespace[c.namespace] {
			if e.from != c.task {
				d.reach(c, e)
			}
		}
		if logs := c.config.in(d, "logConfiguration"); logs.object != nil {
			c.task.sidecars = logs
		}
		d.noteIf(c.config, "accessLogConfiguration", "has no equal for one service: the config entry proxy-defaults turns access logs on for all, by AccessLogs, such as {Enabled = true, Type = \"stdout\"}")
		d.noteIf(c.config, "containerConfigurations", "is about the log of Service Connect's proxy: sidecars.log_level sets that of the agents")
	}
}

// serve makes Consul services of what an ECS service gives names: one of each port.
func (d *draft) serve(c connected) (served []endpoint) {
	for _, s := range c.config.each(d, "services") {
		portName := s.text(d, "portName")
		name := cmp.Or(s.text(d, "discoveryName"), portName)
		service := d.serviceName(s, name)
		port, protocol := d.portOf(c.task, s, portName)
		listener, _ := s.number(d, "ingressPortOverride")
		if !c.task.provides(service, port, listener) {
			d.note(s, "gives the port %s of the task a name. A task is up to %d services, and this is one more: nothing was made of it. Give the port a task of its own", portName, mesh.MaxServices)
			continue
		}
		defaults := d.entry(kindDefaults, service)
		defaults["Protocol"] = protocol
		timeout := s.in(d, "timeout")
		if seconds, ok := timeout.number(d, "perRequestTimeoutSeconds"); ok && seconds > 0 {
			defaults["LocalRequestTimeoutMs"] = seconds * 1000
		}
		d.noteIf(timeout, "idleTimeoutSeconds", "has no equal for a service in Consul: idle time is set for each route, by IdleTimeout of a service-router")
		d.noteIf(s, "tls", "is about certificates: between proxies of Consul's mesh there is always mutual TLS. Consul's CA may be AWS Private CA as well (connect.ca_provider = \"aws-pca\")")
		e := endpoint{service: service, from: c.task}
		for _, a := range s.each(d, "clientAliases") {
			calledAt, _ := a.number(d, "port")
			e.names = append(e.names, alias{cmp.Or(a.text(d, "dnsName"), c.dnsName(name)), calledAt})
			d.noteIf(a, "testTrafficRules", "are for blue/green deployments of Service Connect. A service-router of Consul leads requests with a header to another service")
		}
		if len(e.names) == 0 {
			e.names = []alias{{c.dnsName(name), port}}
		}
		served = append(served, e)
	}
	return served
}

// portOf finds the port that has a name, and its protocol.
func (d *draft) portOf(t *task, s *value, portName string) (port int64, protocol string) {
	for _, c := range t.definition.each(d, "containerDefinitions") {
		for _, m := range c.each(d, "portMappings") {
			if m.textNow("name") == portName {
				return m.port(d, "containerPort"), cmp.Or(m.text(d, "appProtocol"), "tcp")
			}
		}
	}
	d.wrong.Add(s.at.Child("portName"), "is %s, which no port of task definition %s has", portName, t.definition.textNow("taskDefinitionArn"))
	return 0, "tcp"
}

// reach has a client call an endpoint, as it may today.
func (d *draft) reach(c connected, e endpoint) {
	for i, a := range e.names {
		port := c.task.call(d, e.service, a.port)
		if i == 0 {
			d.allow(e.service, c.task.service)
		}
		d.tell(c.config, "lets the task call %s:%d, which is service %s at localhost:%d: change the address in the application's configuration, or, if it does not call it, take the upstream and the source of the service-intentions away",
			a.name, a.port, e.service, port)
	}
}
