package consul

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

func anAddressedTask() taskmeta.Task {
	task := aTask()
	task.Address = netip.MustParseAddr("10.0.0.7")
	return task
}

// TestRegistrationsAreTheIncumbents compares with payloads written down from reference/agents.md 4.2 and 4.3.
func TestRegistrationsAreTheIncumbents(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"smallest", "everything"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, err := os.ReadFile(filepath.Join("testdata", name, "config.json"))
			if err != nil {
				t.Fatal(err)
			}
			r, err := NewRegistration(parse(t, string(config)), anAddressedTask(), "")
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal([]any{r.entry(&r.service, r.Checks), r.entry(&r.proxy, r.Checks)})
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join("testdata", name, "registrations.json"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tree(t, want), tree(t, got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// tree is JSON without what means nothing: empty values, of which the API library writes many.
func tree(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return prune(v)
}

func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			switch p := prune(inner); p {
			case nil, "", 0.0, false, "0s":
				delete(v, key)
			default:
				v[key] = p
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
		if len(v) == 0 {
			return nil
		}
	}
	return any(v)
}

func TestTheMeshsMetaWins(t *testing.T) {
	t.Parallel()
	cfg := parse(t, `{"bootstrapDir":"/consul","consulServers":{"hosts":"h"},"service":{"port":1,"meta":{"task-id":"forged","task-arn":"forged","source":"forged","team":"a"}}}`)
	r, err := NewRegistration(cfg, anAddressedTask(), "eu-west-1")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"task-id": "1f3a", "task-arn": aTask().ARN, "source": "consul-ecs", "team": "a"}
	if diff := cmp.Diff(want, r.service.Meta); diff != "" {
		t.Error(diff)
	}
	if r.service.Locality.Region != "eu-west-1" {
		t.Errorf("locality %v, want the given region", r.service.Locality)
	}
}

func TestATransparentProxyIsRegisteredAsOne(t *testing.T) {
	t.Parallel()
	cfg := parse(t, `{"bootstrapDir":"/consul","consulServers":{"hosts":"h"},"service":{"port":9090},"transparentProxy":{"enabled":true}}`)
	r, err := NewRegistration(cfg, anAddressedTask(), "")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]api.ServiceAddress{"virtual": {Address: r.address, Port: 9090}}
	for _, s := range []api.AgentService{r.service, r.proxy} {
		if diff := cmp.Diff(want, s.TaggedAddresses); diff != "" {
			t.Errorf("%s: %s", s.ID, diff)
		}
	}
	if r.proxy.Proxy.Mode != api.ProxyModeTransparent {
		t.Errorf("mode %q", r.proxy.Proxy.Mode)
	}
}

func TestATaskWithoutItsOwnAddressIsRefused(t *testing.T) {
	t.Parallel()
	cfg := parse(t, `{"bootstrapDir":"/consul","consulServers":{"hosts":"h"}}`)
	for _, mode := range []string{"bridge", "host", ""} {
		task := aTask()
		task.NetworkMode = mode
		want := fmt.Sprintf("the task has no IP address of its own (network mode %q)\nhint: mesh tasks need networkMode awsvpc", mode)
		if _, err := NewRegistration(cfg, task, ""); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestATaskMayHaveIPv6Alone(t *testing.T) {
	t.Parallel()
	task := aTask()
	task.Address = netip.MustParseAddr("2001:db8::7")
	r, err := NewRegistration(parse(t, `{"bootstrapDir":"/consul","consulServers":{"hosts":"h"},"service":{"port":80},"transparentProxy":{"enabled":true}}`), task, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []api.AgentService{r.service, r.proxy} {
		entry := r.entry(&s, nil)
		if entry.Address != "2001:db8::7" || s.Address != "2001:db8::7" || s.TaggedAddresses["virtual"].Address != "2001:db8::7" {
			t.Errorf("%s is registered as %+v at %s", s.ID, s, entry.Address)
		}
	}
}

func TestAFurtherServiceIsRegisteredLikeTheFirst(t *testing.T) {
	t.Parallel()
	const further = `{"bootstrapDir":"/consul","consulServers":{"hosts":"h"},"healthSyncContainers":["app"],"service":{"port":80},"services":[{"service":{"name":%q,"port":81}}]}`
	r, err := NewRegistration(parse(t, fmt.Sprintf(further, "admin")), anAddressedTask(), "")
	if err != nil {
		t.Fatal(err)
	}
	var ids, checks []string
	for _, s := range r.entries() {
		ids = append(ids, s.ID)
		if s.Address != r.address || s.Meta["task-id"] != "1f3a" {
			t.Errorf("%s has the address %s and the metadata %v, want those of the task", s.ID, s.Address, s.Meta)
		}
	}
	for _, c := range r.Checks {
		checks = append(checks, c.ID)
	}
	first := r.ServiceID
	want := [][]string{
		{first, first + "-sidecar-proxy", "admin-1f3a", "admin-1f3a-sidecar-proxy"},
		{
			first + "-app", first + "-consul-dataplane", first + "-sidecar-proxy-consul-dataplane",
			"admin-1f3a-app", "admin-1f3a-consul-dataplane", "admin-1f3a-sidecar-proxy-consul-dataplane",
		},
	}
	if diff := cmp.Diff(want, [][]string{ids, checks}); diff != "" {
		t.Errorf("entries and checks (-want +got):\n%s", diff)
	}
	if _, err := NewRegistration(parse(t, fmt.Sprintf(further, r.ServiceName)), anAddressedTask(), ""); err == nil || !strings.Contains(err.Error(), "two services of the task are named") {
		t.Errorf("a further service of the family's name: got %v, want a refusal", err)
	}
}
