package agentconfig_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
)

func TestValuesThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	const rest = `"bootstrapDir":"/consul","consulServers":{"hosts":"h"}`
	for name, c := range map[string]struct{ doc, want string }{
		"log level":                  {`{` + rest + `,"logLevel":"info"}`, `logLevel: is "info", want one of TRACE, DEBUG, INFO, WARN, ERROR`},
		"no hosts":                   {`{"bootstrapDir":"/consul","consulServers":{"hosts":""}}`, "consulServers.hosts: is empty"},
		"exec without command":       {`{"bootstrapDir":"/consul","consulServers":{"hosts":"exec= "}}`, "consulServers.hosts: has no command after exec="},
		"IPv6 with port":             {`{"bootstrapDir":"/consul","consulServers":{"hosts":"[::1]:8502"}}`, `consulServers.hosts: "[::1]:8502" has a port: give the host alone, and ports in consulServers.http.port and consulServers.grpc.port`},
		"URL":                        {`{"bootstrapDir":"/consul","consulServers":{"hosts":"https://h"}}`, `consulServers.hosts: is "https://h", want an IP address, a DNS name, several of them with commas between, exec= and a command that prints addresses, or provider=aws and tags`},
		"servers of no name":         {`{"bootstrapDir":"/consul","consulServers":{"hosts":"exec=discover -q addrs provider=aws"}}`, "consulServers.defaults.tlsServerName: is needed, as consulServers.hosts is no single name that the servers' certificates could be for: give the name in them, such as server.dc1.consul"},
		"server port":                {`{"bootstrapDir":"/consul","consulServers":{"hosts":"h","http":{"port":-5}}}`, "consulServers.http.port: is -5, want 0 to 65535"},
		"tls against https":          {`{"bootstrapDir":"/consul","consulServers":{"hosts":"h","http":{"tls":false}}}`, "consulServers.http.tls: is false, but consulServers.http.https is true and alone decides: set both alike or leave this one out"},
		"role path":                  {`{` + rest + `,"controller":{"iamRolePath":"/test"}}`, `controller.iamRolePath: is "/test", want an IAM path that begins and ends with '/'`},
		"partition without the flag": {`{` + rest + `,"controller":{"partition":"p"}}`, `controller.partition: is "p", but controller.partitionsEnabled is not true`},
		"service name":               {`{` + rest + `,"service":{"port":1,"name":"UPPER"}}`, `service.name: service name "UPPER": want lower-case letters, digits, '-' and '_', beginning and ending with a letter or digit`},
		"service port 70000":         {`{` + rest + `,"service":{"port":70000}}`, "service.port: is 70000, want 0 to 65535"},
		"tag twice":                  {`{` + rest + `,"service":{"port":1,"tags":["a","a"]}}`, "service.tags[1]: a is in the list twice"},
		"meta keys":                  {`{` + rest + `,"service":{"port":1,"meta":{"a.b":"","":"","consul-x":""}}}`, "service.meta[\"\"]: has a key that Consul refuses, want letters, digits, '-' and '_'\nservice.meta[\"a.b\"]: has a key that Consul refuses, want letters, digits, '-' and '_'\nservice.meta[\"consul-x\"]: has a key that begins with consul-, which Consul keeps for itself: choose another"},
		"login's method":             {`{` + rest + `,"consulLogin":{"method":"ecs.login"}}`, `consulLogin.method: is "ecs.login", want 1 to 128 letters, digits, '-' and '_', as Consul's auth methods are named`},
		"every role of the account":  {`{` + rest + `,"controller":{"iamRolePath":"/"}}`, `controller.iamRolePath: is "/", below which every role of the account may log in: choose a narrower path, or set controller.trustAllRoles`},
		"no whole ECS cluster":       {`{` + rest + `,"controller":{"ecsClusters":["mesh"]}}`, `controller.ecsClusters[0]: is "mesh", want the ARN of an ECS cluster`},
		"controller's address":       {`{` + rest + `,"controller":{"httpAddress":":9102"}}`, `controller.httpAddress: is ":9102", want an IP address and a port, such as 127.0.0.1:9102`},
		"seldom full looks":          {`{` + rest + `,"controller":{"syncSeconds":4000}}`, `controller.syncSeconds: is 4000, want 5 to 3600`},
		"tokens that end at once":    {`{` + rest + `,"controller":{"authMethod":{"tokenTTLSeconds":59}}}`, `controller.authMethod.tokenTTLSeconds: is 59, want 60 to 86400`},
		"controller's method":        {`{` + rest + `,"controller":{"authMethod":{"name":"a b"}}}`, `controller.authMethod.name: is "a b", want 1 to 128 letters, digits, '-' and '_', as Consul's auth methods are named`},
		"upstream to all":            {`{` + rest + `,"proxy":{"upstreams":[{"destinationName":"*","localBindPort":1}]}}`, `proxy.upstreams[0].destinationName: is "*", which can be the name of no service: want one name, without a line's end`},
		"upstream on two lines":      {`{` + rest + `,"proxy":{"upstreams":[{"destinationName":"a\n","localBindPort":1}]}}`, `proxy.upstreams[0].destinationName: is "a\n", which can be the name of no service: want one name, without a line's end`},
		"outlier percent":            {`{` + rest + `,"service":{"port":1,"networkResilienceConfig":{"outlierDetection":{"maxEjectionPercent":101,"maxFailures":0}}}}`, "service.networkResilienceConfig.outlierDetection.maxFailures: is 0, want at least 1\nservice.networkResilienceConfig.outlierDetection.maxEjectionPercent: is 101, want 0 to 100"},
		"container without name":     {`{` + rest + `,"healthSyncContainers":[""]}`, "healthSyncContainers[0]: is empty, want the name of a container"},
		"reserved listener":          {`{` + rest + `,"proxy":{"publicListenerPort":8502}}`, "proxy.publicListenerPort: is 8502, which belongs to Consul or Envoy"},
		"admin as listener":          {`{` + rest + `,"proxy":{"publicListenerPort":19000}}`, "proxy.publicListenerPort: is 19000, the port of Envoy's admin interface"},
		"reserved readiness":         {`{` + rest + `,"proxy":{"healthCheckPort":8600}}`, "proxy.healthCheckPort: is 8600, which belongs to Consul"},
		"readiness is the listener":  {`{` + rest + `,"proxy":{"healthCheckPort":20000}}`, "proxy.healthCheckPort: is 20000, the port of the public listener"},
		"service on the listener":    {`{` + rest + `,"service":{"port":20000}}`, "service.port: is 20000, the port of the public listener"},
		"service on readiness":       {`{` + rest + `,"service":{"port":9090},"proxy":{"healthCheckPort":9090}}`, "service.port: is 9090, the port of the readiness listener"},
		"mode":                       {`{` + rest + `,"proxy":{"meshGateway":{"mode":"bogus"}}}`, `proxy.meshGateway.mode: is "bogus", want one of none, local, remote`},
		"mode missing":               {`{` + rest + `,"proxy":{"meshGateway":{}}}`, "proxy.meshGateway.mode: is missing"},
		"local service address":      {`{` + rest + `,"proxy":{"localServiceAddress":"localhost"}}`, `proxy.localServiceAddress: is "localhost", want an IP address`},
		"upstream without name":      {`{` + rest + `,"proxy":{"upstreams":[{"localBindPort":1}]}}`, "proxy.upstreams[0].destinationName: is missing"},
		"upstream port 0":            {`{` + rest + `,"proxy":{"upstreams":[{"destinationName":"a","localBindPort":0}]}}`, "proxy.upstreams[0].localBindPort: is 0, want 1 to 65535"},
		"upstream type":              {`{` + rest + `,"proxy":{"upstreams":[{"destinationName":"a","localBindPort":1,"destinationType":"x"}]}}`, `proxy.upstreams[0].destinationType: is "x", want one of service, prepared_query`},
		"upstream port twice":        {`{` + rest + `,"proxy":{"upstreams":[{"destinationName":"a","localBindPort":1},{"destinationName":"b","localBindPort":1}]}}`, "proxy.upstreams[1].localBindPort: is 1, the port of proxy.upstreams[0]"},
		"upstream on everything":     {`{` + rest + `,"proxy":{"upstreams":[{"destinationName":"a","localBindPort":1,"localBindAddress":"127.0.0.2"},{"destinationName":"b","localBindPort":1,"localBindAddress":"::"}]}}`, "proxy.upstreams[1].localBindPort: is 1, the port of proxy.upstreams[0]"},
		"upstream twice":             {`{` + rest + `,"proxy":{"upstreams":[{"destinationName":"a","localBindPort":1},{"destinationName":"a","localBindPort":2,"destinationType":"service"}]}}`, `proxy.upstreams[1].destinationName: "a" is already the destination of proxy.upstreams[0]: Consul takes each destination once`},
		"upstream where Envoy waits": {`{` + rest + `,"transparentProxy":{"enabled":true},"proxy":{"upstreams":[{"destinationName":"a","localBindPort":15001}]}}`, "proxy.upstreams[0].localBindPort: is 15001, the port of Envoy's listener for redirected traffic"},
		"upstream on Consul DNS":     {`{` + rest + `,"transparentProxy":{"enabled":true,"consulDNS":{"enabled":true}},"proxy":{"upstreams":[{"destinationName":"a","localBindPort":8600}]}}`, "proxy.upstreams[0].localBindPort: is 8600, the port of the DNS proxy"},
		"upstream on the service":    {`{` + rest + `,"service":{"port":80},"proxy":{"upstreams":[{"destinationName":"a","localBindPort":80}]}}`, "proxy.upstreams[0].localBindPort: is 80, the port of the service"},
		"zone of blanks":             {`{` + rest + `,"locality":{"preferZone":true,"zones":{"10.0.1.0/24":"  "}}}`, `locality.zones["10.0.1.0/24"]: is empty, want the name of a zone, such as eu-west-1a`},
		"blanks around a zone":       {`{` + rest + `,"locality":{"preferZone":true,"zones":{"10.0.1.0/24":"a "}}}`, `locality.zones["10.0.1.0/24"]: is "a ", want it without the blanks around it: "a"`},
		"folder of sockets":          {`{` + rest + `,"proxy":{"config":{"envoy_hcp_metrics_bind_socket_dir":"` + strings.Repeat("d", 71) + `"}}}`, `proxy.config.envoy_hcp_metrics_bind_socket_dir: has 71 bytes, want at most 70`},
		"exposed protocol":           {`{` + rest + `,"proxy":{"expose":{"paths":[{"listenerPort":1,"localPathPort":2,"path":"m","protocol":"tcp"}]}}}`, "proxy.expose.paths[0].protocol: is \"tcp\", want one of http, http2\nproxy.expose.paths[0].path: is \"m\", want a path that begins with '/'"},
		"excluded port and CIDR":     {`{` + rest + `,"transparentProxy":{"excludeInboundPorts":[99999],"excludeOutboundCIDRs":["junk"],"excludeUIDs":["abc","-1"]}}`, "transparentProxy.excludeInboundPorts[0]: is 99999, want 1 to 65535\ntransparentProxy.excludeOutboundCIDRs[0]: is \"junk\", want a CIDR block or an IP address\ntransparentProxy.excludeUIDs[0]: is \"abc\", want the number of a user\ntransparentProxy.excludeUIDs[1]: is \"-1\", want the number of a user"},
		"partition's name":           {`{` + rest + `,"service":{"port":1,"partition":"a_b","namespace":"-"}}`, "service.namespace: is \"-\", want 1 to 64 letters, digits and '-', beginning and ending with a letter or digit\nservice.partition: is \"a_b\", want 1 to 64 letters, digits and '-', beginning and ending with a letter or digit"},
		"upstream's namespace":       {`{` + rest + `,"proxy":{"upstreams":[{"destinationName":"a","localBindPort":1,"destinationNamespace":"*"}]}}`, "proxy.upstreams[0].destinationNamespace: is \"*\", want 1 to 64 letters, digits and '-', beginning and ending with a letter or digit"},
		"names and redirection":      {`{` + rest + `,"transparentProxy":{"enabled":true},"names":{"enabled":true}}`, "names.enabled: is true, but transparentProxy.enabled is true as well, and with that the application calls by name anyway: choose one of the two"},
		"names without redirection":  {`{` + rest + `,"consulLogin":{"embedBearerToken":true},"names":{"enabled":true}}`, "names.enabled: is true, but consulLogin.embedBearerToken is for the official dataplane, which knows no names: leave one of the two out"},
		"names nowhere":              {`{` + rest + `,"names":{"ports":[]}}`, "names.ports: has 0 ports, want 1 to 16"},
		"names everywhere":           {`{` + rest + `,"names":{"ports":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}}`, "names.ports: has 17 ports, want 1 to 16"},
		"names at no port":           {`{` + rest + `,"names":{"ports":[0,65536,7,7]}}`, "names.ports[3]: 7 is in the list twice\nnames.ports[0]: is 0, want 1 to 65535\nnames.ports[1]: is 65536, want 1 to 65535"},
		"names at DNS's port":        {`{` + rest + `,"names":{"enabled":true,"ports":[53]}}`, "names.ports[0]: is 53, the port of the DNS proxy"},
		"names at the listener":      {`{` + rest + `,"names":{"enabled":true,"ports":[80,20000]}}`, "names.ports[1]: is 20000, the port of the public listener"},
		"names at our own ports":     {`{` + rest + `,"names":{"enabled":true,"ports":[19000,22000,20300,20100]}}`, "names.ports[0]: is 19000, the port of Envoy's admin interface\nnames.ports[1]: is 22000, the port of the readiness listener\nnames.ports[2]: is 20300, the port of the dataplane's endpoints for start and stop\nnames.ports[3]: is 20100, the port of the dataplane's metrics"},
		"names on the service":       {`{` + rest + `,"service":{"port":80},"names":{"enabled":true}}`, "names.ports: is 80, the port of the service"},
		"upstream at names":          {`{` + rest + `,"names":{"enabled":true,"ports":[81]},"proxy":{"upstreams":[{"destinationName":"a","localBindPort":81}]}}`, "proxy.upstreams[0].localBindPort: is 81, the port of Envoy's listener for names"},
		"DNS alone":                  {`{` + rest + `,"transparentProxy":{"enabled":false,"consulDNS":{"enabled":true}}}`, "transparentProxy.consulDNS.enabled: is true, but transparentProxy.enabled is not"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := agentconfig.Parse([]byte(c.doc))
			if err == nil {
				t.Fatal("accepted")
			}
			got := strings.TrimPrefix(err.Error(), "parse agent configuration: ")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPortsOnDifferentAddressesDoNotClash(t *testing.T) {
	t.Parallel()
	cfg := agentconfig.Config{
		BootstrapDir: "/consul", ConsulServers: agentconfig.ConsulServers{Hosts: "consul.service.local"},
		Service: &agentconfig.Service{Port: 80},
		Proxy: &agentconfig.Proxy{LocalServiceAddress: "127.0.0.1", Upstreams: []agentconfig.Upstream{
			{DestinationName: "a", LocalBindPort: 80, LocalBindAddress: "127.0.0.2"},
			{DestinationName: "a", LocalBindPort: 80, LocalBindAddress: "127.0.0.3", Datacenter: "dc2"},
			{DestinationName: "b", LocalBindPort: 8503},
		}},
	}
	if err := cfg.Problems().Err(); err != nil {
		t.Error(err)
	}
}

func TestRolePathsAreAsLongAsIAMTakesThem(t *testing.T) {
	t.Parallel()
	for path, good := range map[string]bool{
		"/": true, "/a/": true, "//": true, "": false, "a/": false, "/a b/": false, "/ü/": false,
		"/" + strings.Repeat("a", 510) + "/": true, "/" + strings.Repeat("a", 511) + "/": false,
	} {
		if err := agentconfig.CheckRolePath(path); (err == nil) != good {
			t.Errorf("%d characters, %.10q…: %v, want ok %t", len(path), path, err, good)
		}
	}
}
