package block_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

var plainDefault = regexp.MustCompile("Default `?([0-9a-z][^`,;]*?)`?(?:[,;]|[.](?: |$))")

// An attribute that becomes a setting of the agents says the default that the agents have.
func TestTheDefaultsOfTheProxysAttributesAreTheAgents(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), dataplanefile.Name)
	if err := os.WriteFile(path, []byte(`{"consul":{"addresses":"consul.internal"},"proxy":{"id":"p"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := dataplanefile.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	var none agentconfig.Config
	want := map[string]any{
		"proxy.public_listener_port": none.ProxySettings().PublicListenerPort, "proxy.readiness_port": none.ProxySettings().HealthCheckPort,
		"proxy.drain_time": *file.Envoy.DrainTimeSeconds, "proxy.retry_undelivered": !file.Envoy.RetryUndeliveredDisabled,
		"proxy.local_service_address": "127.0.0.1", // Consul's own
		"transparent_proxy.enabled":   none.RedirectsTraffic(), "transparent_proxy.dns": none.ResolvesNames(),
		"names.enabled": none.CallsByName(), "names.ports": none.NamesSettings().Ports[0],
		"locality.prefer_zone": *none.LocalitySettings().PreferZone, "locality.spill": none.LocalitySettings().Spill,
		"login.enabled": none.Login().Enabled, "login.auth_method": none.Login().Method, "login.include_entity": *none.Login().IncludeEntity,
		"servers.skip_server_watch": none.ConsulServers.SkipServerWatch,
	}
	got := map[string]any{}
	for name, attributes := range map[string]map[string]schema.Attribute{
		"proxy": block.ProxyRow().Attributes, "transparent_proxy": block.TransparentProxyRow().Attributes, "names": block.NamesRow().Attributes, "locality": block.LocalityRow().Attributes,
		"login": row.Object("", block.LoginFields()).Attributes, "servers": row.Object("", block.ConsulServersFields()).Attributes,
	} {
		for key, attribute := range attributes {
			if said := plainDefault.FindStringSubmatch(attribute.GetMarkdownDescription()); said != nil && !strings.Contains(said[1], " ") {
				got[name+"."+key] = said[1]
			}
		}
	}
	for key, value := range want {
		if got[key] != fmt.Sprint(value) {
			t.Errorf("%s: its description says %v, and the agents have %v", key, got[key], value)
		}
		delete(got, key)
	}
	if len(got) > 0 {
		t.Errorf("not compared with what the agents have: %v", got)
	}
}

func TestADrainTimeOfZeroIsPassedOnAndReadBack(t *testing.T) {
	t.Parallel()
	for _, want := range []*int32{nil, new(int32(0)), new(int32(30))} {
		spec := (&block.Proxy{DrainTime: want}).Spec()
		read, err := block.ReadProxy(spec)
		switch {
		case err != nil:
			t.Error(err)
		case want == nil && (spec.Dataplane != nil || read != nil):
			t.Errorf("no drain time became %+v, and %+v when read", spec.Dataplane, read)
		case want != nil && (read == nil || read.DrainTime == nil || *read.DrainTime != *want):
			t.Errorf("a drain time of %d became %+v when read", *want, read)
		}
	}
}

func TestALocalityIsPassedOnAndReadBack(t *testing.T) {
	t.Parallel()
	yes, no, full := true, false, "full"
	for name, tc := range map[string]struct {
		in   *block.Locality
		want *block.Locality
	}{
		"none":      {nil, nil},
		"off":       {&block.Locality{PreferZone: &no}, nil},
		"on":        {&block.Locality{PreferZone: &yes}, &block.Locality{PreferZone: &yes}},
		"all of it": {&block.Locality{PreferZone: &yes, Spill: &full, Zones: map[string]string{"10.0.1.0/24": "a"}}, &block.Locality{PreferZone: &yes, Spill: &full, Zones: map[string]string{"10.0.1.0/24": "a"}}},
	} {
		spec := tc.in.Spec()
		if diff := cmp.Diff(tc.want, block.ReadLocality(agentconfig.Config{Locality: &spec})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
