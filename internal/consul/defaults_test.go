package consul

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
)

// inForce tells, for each key of the agents' configuration that has a plain default, what the agents make of it.
var inForce = map[string]func(agentconfig.Config) any{
	"logLevel": func(c agentconfig.Config) any {
		return strings.ToUpper(agentlog.New("test", c.LogLevel, false, os.Stderr).GetLevel().String())
	},
	"logJSON":                       func(c agentconfig.Config) any { return c.LogJSON },
	"consulServers.skipServerWatch": func(c agentconfig.Config) any { return c.ConsulServers.SkipServerWatch },
	"consulServers.defaults.tls":    func(c agentconfig.Config) any { return c.ConsulServers.GRPCEndpoint().TLS },
	"consulServers.http.port":       func(c agentconfig.Config) any { return c.ConsulServers.HTTPEndpoint().Port },
	"consulServers.http.https":      func(c agentconfig.Config) any { return c.ConsulServers.HTTPEndpoint().TLS },
	"consulServers.grpc.port":       func(c agentconfig.Config) any { return c.ConsulServers.GRPCEndpoint().Port },
	"consulServers.grpc.tls":        func(c agentconfig.Config) any { return c.ConsulServers.GRPCEndpoint().TLS },
	"consulLogin.enabled":           func(c agentconfig.Config) any { return c.Login().Enabled },
	"consulLogin.method":            func(c agentconfig.Config) any { return c.Login().Method },
	"consulLogin.includeEntity":     func(c agentconfig.Config) any { return *c.Login().IncludeEntity },
	"consulLogin.embedBearerToken":  func(c agentconfig.Config) any { return c.Login().EmbedBearerToken },
	"controller.iamRolePath":        func(c agentconfig.Config) any { return c.ControllerSettings().IAMRolePath },
	"controller.trustAllRoles":      func(c agentconfig.Config) any { return c.ControllerSettings().TrustAllRoles },
	"controller.partitionsEnabled":  func(c agentconfig.Config) any { return c.ControllerSettings().PartitionsEnabled },
	"controller.partition": func(c agentconfig.Config) any {
		with := c.ControllerSettings()
		with.PartitionsEnabled = true
		return agentconfig.Config{Controller: &with}.ControllerSettings().Partition
	},
	"controller.authMethod.name": func(c agentconfig.Config) any { return c.ControllerSettings().AuthMethod.Name },
	"controller.manageACL":       func(c agentconfig.Config) any { return *c.ControllerSettings().ManageACL },
	"controller.anonymousReads":  func(c agentconfig.Config) any { return *c.ControllerSettings().AnonymousReads },
	"controller.syncSeconds": func(c agentconfig.Config) any {
		with := c.ControllerSettings()
		with.EventQueueURL = "https://queue"
		return *agentconfig.Config{Controller: &with}.ControllerSettings().SyncSeconds
	},
	"controller.maxWritesPerSecond":                                func(c agentconfig.Config) any { return *c.ControllerSettings().MaxWritesPerSecond },
	"controller.brake.tasks":                                       func(c agentconfig.Config) any { return *c.ControllerSettings().Brake.Tasks },
	"controller.brake.percent":                                     func(c agentconfig.Config) any { return *c.ControllerSettings().Brake.Percent },
	"controller.dryRun":                                            func(c agentconfig.Config) any { return c.ControllerSettings().DryRun },
	"controller.httpAddress":                                       func(c agentconfig.Config) any { return c.ControllerSettings().HTTPAddress },
	"service.enableTagOverride":                                    func(c agentconfig.Config) any { return c.ServiceSettings("f").EnableTagOverride },
	"service.networkResilienceConfig.enabled":                      func(c agentconfig.Config) any { return c.ServiceSettings("f").Outliers() != nil },
	"service.networkResilienceConfig.outlierDetection.interval":    outlierSetting("Interval"),
	"service.networkResilienceConfig.outlierDetection.maxFailures": outlierSetting("MaxFailures"),
	"service.networkResilienceConfig.outlierDetection.enforcingConsecutiveGatewayFailure": outlierSetting("EnforcingConsecutiveGatewayFailure"),
	"service.networkResilienceConfig.outlierDetection.maxEjectionPercent":                 outlierSetting("MaxEjectionPercent"),
	"service.weights": func(c agentconfig.Config) any {
		w := weights(c.ServiceSettings("f").Weights)
		return fmt.Sprintf("%d and %d", w.Passing, w.Warning)
	},
	"proxy.publicListenerPort":           func(c agentconfig.Config) any { return c.ProxySettings().PublicListenerPort },
	"proxy.healthCheckPort":              func(c agentconfig.Config) any { return c.ProxySettings().HealthCheckPort },
	"transparentProxy.enabled":           func(c agentconfig.Config) any { return c.RedirectsTraffic() },
	"transparentProxy.consulDNS.enabled": func(c agentconfig.Config) any { return c.ResolvesNames() },
	"names.enabled":                      func(c agentconfig.Config) any { return c.CallsByName() },
	"names.ports":                        func(c agentconfig.Config) any { return strings.Trim(fmt.Sprint(c.NamesSettings().Ports), "[]") },
	"locality.preferZone":                func(c agentconfig.Config) any { return *c.LocalitySettings().PreferZone },
	"locality.spill":                     func(c agentconfig.Config) any { return c.LocalitySettings().Spill },
	"shareAgent":                         func(c agentconfig.Config) any { return c.SharesAgent() },
}

// passedOn are keys whose default is in force elsewhere, each with where.
var passedOn = map[string]string{
	"readinessProbes[].path":             "health-sync's probes",
	"proxy.localServiceAddress":          "Consul's configuration of Envoy",
	"proxy.upstreams[].destinationType":  "Consul, which takes none for a service",
	"proxy.upstreams[].localBindAddress": "Consul's configuration of Envoy",
	"proxy.expose.checks":                "passed on as it is",
	"proxy.expose.paths[].protocol":      "Consul's configuration of Envoy",
	"proxy.dataplane.drainTimeSeconds":   "the dataplane's file",
	"proxy.dataplane.stopWithinSeconds":  "the dataplane's file",
	"proxy.dataplane.retryUndelivered":   "the dataplane's file",
}

// zeroIsUnset are numbers of which zero means nothing, so that it stands for the default.
var zeroIsUnset = map[string]bool{
	"consulServers.http.port": true, "consulServers.grpc.port": true, "proxy.publicListenerPort": true, "proxy.healthCheckPort": true,
}

func outlierSetting(name string) func(agentconfig.Config) any {
	return func(c agentconfig.Config) any {
		resilience := c.ServiceSettings("f").NetworkResilience
		if resilience == nil || resilience.OutlierDetection == nil {
			return passiveHealthCheck(agentconfig.OutlierDetection{})[name]
		}
		return passiveHealthCheck(*resilience.OutlierDetection)[name]
	}
}

var (
	rowOfKey   = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (bool|integer|string|object|list)([^|]*)\\| (.*) \\|$")
	plainWords = regexp.MustCompile(`\bdefault:? ((?:true|false|-?[0-9]+( and [0-9]+)?|/[a-z-]*/?|[A-Z]{4,}|service|http|default|gradual|iam-ecs-service-token|127\.0\.0\.1(?::[0-9]+)?))(?:[ ,;:]|$)`)
)

func TestTheDocumentedDefaultsAreThoseInForceAndZeroCanBeWritten(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/templates/guides/settings.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	table, _, _ := strings.Cut(string(page), "## The dataplane's file")
	seen := 0
	for _, row := range rowOfKey.FindAllStringSubmatch(table, -1) {
		key, kind, meaning := row[1], row[2], row[4]
		if kind == "bool" && !strings.Contains(meaning, "default") && key != "consulServers.http.tls" {
			t.Errorf("%s: nobody says what the default is", key)
		}
		said := plainWords.FindStringSubmatch(meaning)
		if said == nil {
			continue
		}
		of := inForce[key]
		if of == nil {
			if passedOn[key] == "" {
				t.Errorf("%s: default %s, and the test does not know what is in force", key, said[1])
			}
			continue
		}
		seen++
		if got := fmt.Sprint(of(parse(t, withSetting(t, "", nil)))); got != said[1] {
			t.Errorf("%s: the page says that the default is %s, and it is %s", key, said[1], got)
		}
		zero := map[string]any{"bool": false, "integer": 0}[kind]
		if zero == nil || strings.HasSuffix(row[3], "required ") {
			continue
		}
		cfg, err := agentconfig.Parse([]byte(withSetting(t, key, zero)))
		switch {
		case err != nil && !strings.Contains(err.Error(), "is 0, want"): // where zero would harm, that is said
			t.Errorf("%s: %v", key, err)
		case err != nil, zeroIsUnset[key]:
		case fmt.Sprint(of(cfg)) != fmt.Sprint(zero):
			t.Errorf("%s: %v is written, and %v in force", key, zero, of(cfg))
		}
	}
	if seen != len(inForce)-1 { // consulServers.grpc.tls has that of another key
		t.Errorf("the page tells of %d of the %d defaults", seen, len(inForce))
	}
}

// withSetting is a whole document with the value at the key.
func withSetting(t *testing.T, key string, value any) string {
	t.Helper()
	doc := map[string]any{"bootstrapDir": "/consul", "consulServers": map[string]any{"hosts": "h"}}
	at := doc
	for parts := strings.Split(key, "."); key != "" && len(parts) > 0; parts = parts[1:] {
		if len(parts) == 1 {
			at[parts[0]] = value
			break
		}
		next, ok := at[parts[0]].(map[string]any)
		if !ok {
			next = map[string]any{}
			if parts[0] == "service" {
				next["port"] = 80
			}
			at[parts[0]] = next
		}
		at = next
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
