package agentconfig_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
)

// document is a configuration with further services.
func document(services, rest string) []byte {
	return []byte(`{"bootstrapDir":"/consul","consulServers":{"hosts":"h"},"service":{"name":"web","port":8080},"services":[` + services + `]` + rest + `}`)
}

func TestFurtherServicesThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	const admin = `{"service":{"name":"web-admin","port":8081}}`
	for name, c := range map[string]struct{ services, rest, want string }{
		"no service":               {`{}`, ``, `services[0].service: is missing`},
		"no name":                  {`{"service":{"port":8081}}`, ``, `services[0].service.name: is missing: only the first service of a task has a name by default`},
		"no port":                  {`{"service":{"name":"web-admin","port":0}}`, ``, `services[0].service.port: is missing: set the port that the application listens on for this service`},
		"a name that Consul hates": {`{"service":{"name":"Web","port":8081}}`, ``, `services[0].service.name: service name "Web": want lower-case letters, digits, '-' and '_', beginning and ending with a letter or digit`},
		"the first one's name":     {`{"service":{"name":"web","port":8081}}`, ``, `services[0].service.name: is "web", the name of another service of the task: give each a name of its own`},
		"one name twice":           {admin + `,{"service":{"name":"web-admin","port":8082}}`, ``, `services[1].service.name: is "web-admin", the name of another service of the task: give each a name of its own`},
		"the first one's port":     {`{"service":{"name":"web-admin","port":8080}}`, ``, `services[0].service.port: is 8080, the port of the service`},
		"one port twice":           {admin + `,{"service":{"name":"web-debug","port":8081}}`, ``, `services[1].service.port: is 8081, the port of services[0].service.port`},
		"one listener twice":       {`{"service":{"name":"web-admin","port":8081},"proxy":{"publicListenerPort":20000}}`, ``, `services[0].proxy.publicListenerPort: is 20000, the port of the public listener`},
		"the next one's listener":  {`{"service":{"name":"web-admin","port":8081}}`, `,"proxy":{"publicListenerPort":20001}`, `services[0].proxy.publicListenerPort: is 20001, the port of the public listener`},
		"the second Envoy's port":  {`{"service":{"name":"web-admin","port":19001}}`, ``, `services[0].service.port: is 19001, the port of Envoy's admin interface`},
		"an upstream's port":       {admin, `,"proxy":{"upstreams":[{"destinationName":"api","localBindPort":8081}]}`, `proxy.upstreams[0].localBindPort: is 8081, the port of services[0].service.port`},
		"another namespace":        {`{"service":{"name":"web-admin","port":8081,"namespace":"a"}}`, ``, `services[0].service.namespace: is "a", but all services of a task lie where the first one does: leave it out`},
		"a dataplane of its own":   {`{"service":{"name":"web-admin","port":8081},"proxy":{"dataplane":{"concurrency":1}}}`, ``, `services[0].proxy.dataplane: is set, but all proxies of a task run as proxy.dataplane says: leave it out`},
		"transparent proxy": {admin, `,"transparentProxy":{"enabled":true}`, `transparentProxy.enabled: is true, but the task is several services: callers with a transparent proxy tell services by their addresses, ` +
			`which here are one. Leave it out, or make a task of each service`},
		"the official dataplane": {admin, `,"consulLogin":{"enabled":true,"embedBearerToken":true}`, `consulLogin.embedBearerToken: is true, as for the official dataplane, but that runs one proxy, and the task is several services`},
		"an unknown key":         {`{"service":{"name":"web-admin","port":8081},"upstreams":[]}`, ``, `services[0].upstreams: unknown key, want one of proxy, service`},
		"too many": {
			strings.Join([]string{admin, `{"service":{"name":"b","port":2}}`, `{"service":{"name":"c","port":3}}`, `{"service":{"name":"d","port":4}}`, `{"service":{"name":"e","port":5}}`}, ","), ``,
			`services: has 5 services besides the first one, want at most 4`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := agentconfig.Parse(document(c.services, c.rest))
			if err == nil {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff("parse agent configuration: "+c.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEachServiceHasAProxyAtPortsOfItsOwn(t *testing.T) {
	t.Parallel()
	cfg, err := agentconfig.Parse([]byte(`{"bootstrapDir":"/consul","consulServers":{"hosts":"h"},"service":{"port":8080,"namespace":"n","partition":"p"},"services":[
{"service":{"name":"web-admin","port":8081}},{"service":{"name":"web-debug","port":8082},"proxy":{"publicListenerPort":21000,"healthCheckPort":23000}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	type seen struct {
		Name, Namespace, Partition string
		Port, Public, Ready, Admin int
		Further                    bool
	}
	var got []seen
	for _, p := range cfg.Pairs("Web") {
		got = append(got, seen{p.Service.Name, p.Service.Namespace, p.Service.Partition, p.Service.Port, p.Proxy.PublicListenerPort, p.Proxy.HealthCheckPort, p.AdminPort, p.Further()})
	}
	want := []seen{
		{"web", "n", "p", 8080, 20000, 22000, 19000, false},
		{"web-admin", "n", "p", 8081, 20001, 22001, 19001, true},
		{"web-debug", "n", "p", 8082, 21000, 23000, 19002, true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pairs (-want +got):\n%s", diff)
	}
}
