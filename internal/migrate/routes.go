package migrate

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// routeKinds are the kinds of routes.
var routeKinds = []string{"httpRoute", "http2Route", "grpcRoute", "tcpRoute"}

// meshTarget is a listener that traffic is led to. Port 0 is the first.
type meshTarget struct {
	node string
	port int64
}

// weighted is a target of a route.
type weighted struct {
	meshTarget
	weight int64
}

// service is the target's name in Consul.
func (m *appMesh) service(t meshTarget) string { return m.nodes[t.node].at(t.port).service }

// ofKind is what a route says, and of which kind it is.
func (m *appMesh) ofKind(route *value) (kind string, of *value) {
	spec := route.in(m.draft, "spec")
	for _, kind := range routeKinds {
		if spec.has(kind) {
			return kind, spec.in(m.draft, kind)
		}
	}
	return "", nothing(spec.at)
}

// targetsOf are the targets of a route that get some of its traffic.
func (m *appMesh) targetsOf(route *value) (targets []weighted) {
	_, of := m.ofKind(route)
	for _, t := range of.in(m.draft, "action").each(m.draft, "weightedTargets") {
		weight, _ := t.number(m.draft, "weight")
		if weight > 0 {
			port, _ := t.number(m.draft, "port")
			targets = append(targets, weighted{meshTarget{t.text(m.draft, "virtualNode"), port}, weight})
		}
		t.drop("virtualNode", "port")
	}
	return targets
}

// targets are the listeners that a service leads to, each once.
func (m *appMesh) targets(s *meshService) (all []meshTarget) {
	if s.node != "" {
		return []meshTarget{{node: s.node}}
	}
	if r := m.routers[s.router]; r != nil {
		for _, route := range r.routes {
			for _, t := range m.targetsOf(route) {
				if !slices.Contains(all, t.meshTarget) {
					all = append(all, t.meshTarget)
				}
			}
		}
	}
	return all
}

// targetNames are the virtual nodes that a service leads to.
func (m *appMesh) targetNames(s *meshService) (names []string) {
	for _, t := range m.targets(s) {
		if !slices.Contains(names, t.node) {
			names = append(names, t.node)
		}
	}
	return names
}

// tellUnused tells of routers that no virtual service leads to: nobody can call what they lead to.
func (m *appMesh) tellUnused() {
	used := map[string]bool{}
	for _, s := range m.services {
		used[s.router] = true
	}
	for name, r := range m.routers {
		if used[name] {
			continue
		}
		const what = "is of virtual router %s, which no virtual service of the documents leads to: nothing was made of it"
		m.note(r.v, what, name)
		for _, route := range r.routes {
			m.note(route, what, name)
		}
	}
}

// convertService makes entries of a virtual service with a router. One with a node is the node's own service.
func (m *appMesh) convertService(s *meshService) {
	switch {
	case s.node != "" && m.nodes[s.node] == nil:
		m.tell(s.v, "leads to virtual node %s, which no document describes: add what aws appmesh describe-virtual-node prints of it", s.node)
		return
	case s.node != "":
		return
	case s.router == "":
		m.tell(s.v, "leads nowhere: nothing was made of it")
		return
	case m.routers[s.router] == nil:
		m.tell(s.v, "leads to virtual router %s, which no document describes: add what aws appmesh describe-virtual-router and describe-route print", s.router)
		return
	}
	for _, name := range m.targetNames(s) {
		if m.nodes[name] == nil {
			m.wrong.Add(m.routers[s.router].v.at, "leads to virtual node %s, which no document describes: add what aws appmesh describe-virtual-node prints of it", name)
		}
	}
	if len(m.wrong) > 0 {
		return
	}
	routes := m.inOrder(m.routers[s.router].routes)
	if len(routes) == 0 {
		m.tell(s.v, "leads to a router without routes: nothing was made of it")
		return
	}
	protocol := m.protocolOf(s)
	if m.nodeOf(s.name) == nil {
		m.entry(kindDefaults, s.name)["Protocol"] = protocol
	}
	if plain := m.plain(routes[0]); protocol == "tcp" || len(routes) == 1 && plain {
		m.lead(s.v, s.name, m.targetsOf(routes[0]), protocol)
		m.spec(routes[0])
		for _, other := range routes[1:] {
			m.note(other, "is a further route of a TCP service: Consul leads TCP to one service. Nothing was made of it")
		}
		return
	}
	var all []any
	for _, route := range routes {
		all = append(all, m.convertRoute(s, route, protocol))
	}
	m.entry(kindRouter, s.name)["Routes"] = all
	if last := m.plain(routes[len(routes)-1]); !last {
		m.tell(s.v, "answers 404 where no route matches. Consul leads such requests to service %s itself: without instances of its own they get 503", s.name)
	}
}

func (m *appMesh) nodeOf(service string) *meshNode {
	for _, n := range m.nodes {
		if slices.Contains(n.task.services(), service) {
			return n
		}
	}
	return nil
}

// protocolOf is that of the service's targets, which Consul wants to be one.
func (m *appMesh) protocolOf(s *meshService) string {
	protocols := map[string]bool{}
	for _, t := range m.targets(s) {
		protocols[m.nodes[t.node].at(t.port).protocol] = true
	}
	all := slices.Sorted(maps.Keys(protocols))
	if len(all) == 0 {
		return "tcp"
	}
	if len(all) > 1 {
		m.tell(s.v, "leads to targets that speak %s. In Consul the targets of a service speak one protocol: bring their service-defaults to the same", sentence(all))
	}
	return all[0]
}

// spec asks for what a plain route says besides its targets.
func (m *appMesh) spec(route *value) {
	_, of := m.ofKind(route)
	route.in(m.draft, "spec").drop("priority")
	route.drop("routeName")
	of.in(m.draft, "match").drop("prefix", "port")
	m.noteIf(of.in(m.draft, "timeout"), "idle", "has no equal for TCP in Consul")
}

// plain reports whether a route does nothing but lead all requests to its targets.
func (m *appMesh) plain(route *value) bool {
	_, of := m.ofKind(route)
	match := of.in(m.draft, "match")
	for key, v := range match.object {
		if !v.saysNothing() && !(key == "prefix" && v.plain == "/") {
			return false
		}
	}
	return !of.has("retryPolicy") && !of.has("timeout")
}

// lead has a service lead to targets: to one by a resolver, to several by a splitter.
func (m *appMesh) lead(v *value, service string, targets []weighted, protocol string) {
	var sum int64
	for _, t := range targets {
		sum += t.weight
	}
	switch {
	case len(targets) == 0:
		m.tell(v, "has no target that gets traffic: nothing was made of it")
	case len(targets) == 1 && m.service(targets[0].meshTarget) == service: // it leads to itself
	case len(targets) == 1:
		m.entry(kindResolver, service)["Redirect"] = map[string]any{"Service": m.service(targets[0].meshTarget)}
	case protocol == "tcp":
		m.entry(kindResolver, service)["Redirect"] = map[string]any{"Service": m.service(targets[0].meshTarget)}
		m.tell(v, "splits TCP between %d targets. Consul splits requests of HTTP alone: all of it goes to the first target", len(targets))
	default:
		var splits []any
		rest := int64(10000) // in hundredths of a percent, which Consul wants to sum up to 100
		for i, t := range targets {
			share := t.weight * 10000 / sum
			if i == len(targets)-1 {
				share = rest
			}
			rest -= share
			splits = append(splits, map[string]any{"Weight": float64(share) / 100, "Service": m.service(t.meshTarget)})
		}
		m.entry(kindSplitter, service)["Splits"] = splits
	}
}

// inOrder are routes as App Mesh tries them: by priority, then the more specific first.
func (m *appMesh) inOrder(routes []*value) []*value {
	type ranked struct {
		route    *value
		priority int64
		specific int
	}
	var all []ranked
	for _, route := range routes {
		priority, ok := route.in(m.draft, "spec").number(m.draft, "priority")
		if !ok {
			priority = 1001 // after all that have one
		}
		_, of := m.ofKind(route)
		match := of.in(m.draft, "match")
		specific := len(match.textNow("prefix")) + 10*len(match.object)
		if match.has("path") {
			specific += 1000
		}
		all = append(all, ranked{route, priority, specific})
	}
	slices.SortStableFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(b.specific, a.specific), cmp.Compare(a.route.textNow("routeName"), b.route.textNow("routeName")))
	})
	var sorted []*value
	for _, r := range all {
		sorted = append(sorted, r.route)
	}
	return sorted
}

// convertRoute is a route of a service-router. One with several targets leads to a service of its own, which splits.
func (m *appMesh) convertRoute(s *meshService, route *value, protocol string) map[string]any {
	name := route.text(m.draft, "routeName")
	targets := m.targetsOf(route)
	destination := map[string]any{}
	switch {
	case len(targets) == 1:
		destination["Service"] = m.service(targets[0].meshTarget)
	case len(targets) > 1:
		split := m.serviceName(route, s.name+"-"+name)
		if m.isTaken(split) {
			m.wrong.Add(route.at.Child("routeName"), "makes the service %s in Consul, by which its targets share the traffic, and another part of the mesh has that name: rename the route in the document", split)
		}
		m.entry(kindDefaults, split)["Protocol"] = protocol
		m.lead(route, split, targets, protocol)
		destination["Service"] = split
	default:
		m.tell(route, "has no target that gets traffic: it leads to service %s itself", s.name)
	}
	kind, of := m.ofKind(route)
	if kind == "tcpRoute" {
		m.tell(route, "is a route of TCP beside such of HTTP: Consul leads a service's traffic by one protocol")
	}
	timeout := of.in(m.draft, "timeout")
	for key, name := range map[string]string{"perRequest": "RequestTimeout", "idle": "IdleTimeout"} {
		if d, ok := timeout.duration(m.draft, key); ok && d > 0 {
			destination[name] = d.String()
		}
	}
	m.retries(of.in(m.draft, "retryPolicy"), destination)
	converted := map[string]any{"Destination": destination}
	if match := m.match(of.in(m.draft, "match"), kind == "grpcRoute"); len(match) > 0 {
		converted["Match"] = map[string]any{"HTTP": match}
	}
	return converted
}

// retryEvents are App Mesh's words for failures that Envoy has another one for, which is Consul's, too.
var retryEvents = map[string]string{"server-error": "5xx", "client-error": "retriable-4xx", "stream-error": "refused-stream", "connection-error": "connect-failure"}

func (m *appMesh) retries(v *value, destination map[string]any) {
	if n, ok := v.number(m.draft, "maxRetries"); ok {
		destination["NumRetries"] = n
	}
	var on []any
	for _, key := range []string{"httpRetryEvents", "grpcRetryEvents", "tcpRetryEvents"} {
		for _, event := range v.each(m.draft, key) {
			word, _ := event.raw().(string)
			on = append(on, cmp.Or(retryEvents[word], word))
		}
	}
	if len(on) > 0 {
		destination["RetryOn"] = on
	}
	m.noteIf(v, "perRetryTimeout", "has no equal in Consul, which bounds the request as a whole (RequestTimeout of the route)")
}

// match is what a route asks of requests.
func (m *appMesh) match(v *value, grpc bool) map[string]any {
	match := map[string]any{}
	if prefix := v.text(m.draft, "prefix"); prefix != "" {
		match["PathPrefix"] = prefix
	}
	path := v.in(m.draft, "path")
	for key, name := range map[string]string{"exact": "PathExact", "regex": "PathRegex"} {
		if text := path.text(m.draft, key); text != "" {
			match[name] = text
		}
	}
	if grpc {
		service, method := v.text(m.draft, "serviceName"), v.text(m.draft, "methodName")
		switch {
		case method != "":
			match["PathExact"] = "/" + service + "/" + method
		case service != "":
			match["PathPrefix"] = "/" + service + "/"
		}
	}
	if method := v.text(m.draft, "method"); method != "" {
		match["Methods"] = []any{method}
	}
	m.noteIf(v, "scheme", "is not asked for by Consul: the route takes requests of any scheme")
	m.noteIf(v, "port", "is not asked for by Consul, where a service has one port: the route takes requests of any port")
	for key, name := range map[string]string{"headers": "Header", "metadata": "Header", "queryParameters": "QueryParam"} {
		var all []any
		for _, h := range v.each(m.draft, key) {
			all = append(all, m.condition(h))
		}
		if len(all) > 0 {
			match[name] = all
		}
	}
	return match
}

// condition is what is asked of a header or a parameter: that it is there, unless more is said.
func (m *appMesh) condition(v *value) map[string]any {
	asks := map[string]any{"Name": v.text(m.draft, "name")}
	if v.flag(m.draft, "invert") {
		asks["Invert"] = true
	}
	match := v.in(m.draft, "match")
	for _, key := range []string{"exact", "prefix", "suffix", "regex"} {
		if text := match.text(m.draft, key); text != "" {
			asks[strings.ToUpper(key[:1])+key[1:]] = text
			return asks
		}
	}
	if r := match.in(m.draft, "range"); r.object != nil {
		from, _ := r.number(m.draft, "start")
		to, _ := r.number(m.draft, "end")
		m.note(r, "asks for a number from %d to %d. Consul has no ranges: the route asks for any number, write a narrower Regex", from, to-1)
		asks["Regex"] = "-?[0-9]+"
		return asks
	}
	asks["Present"] = true
	return asks
}
