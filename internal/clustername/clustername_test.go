package clustername

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNamesOfConsulAreRead(t *testing.T) {
	const domain = ".4a8c2ef0-97c1-4a7d-8e0c-6d53bff1d8f3.consul"
	api := Name{Service: "api", Namespace: "default", Datacenter: "dc1"}
	for cluster, want := range map[string]Name{
		"api.default.dc1.internal" + domain:                          api,
		"v1.api.default.dc1.internal" + domain:                       api,
		"failover-target~1~api.default.dc1.internal" + domain:        api,
		"0f5a~failover-target~api.default.dc1.internal" + domain:     api,
		"api.team.east.dc1.internal-v1" + domain:                     {Service: "api", Namespace: "team", Partition: "east", Datacenter: "dc1"},
		"v1.api.team.east.dc1.internal-v1" + domain:                  {Service: "api", Namespace: "team", Partition: "east", Datacenter: "dc1"},
		"pay.default.cluster-02.external" + domain:                   {Service: "pay", Namespace: "default", Peer: "cluster-02"},
		"pay.team.east.cluster-02.external" + domain:                 {Service: "pay", Namespace: "team", Partition: "east", Peer: "cluster-02"},
		"failover-target~2~pay.default.cluster-02.external" + domain: {Service: "pay", Namespace: "default", Peer: "cluster-02"},
	} {
		got, ok := Parse(cluster)
		if diff := cmp.Diff(want, got); diff != "" || !ok {
			t.Errorf("%s: %v (-want +got):\n%s", cluster, ok, diff)
		}
	}
}

func TestOtherClustersHaveNoName(t *testing.T) {
	for _, cluster := range []string{"", "~", "local_app", "original-destination", "self_admin", "a.b", "internal.a.b", "dc1.internal.a.consul",
		"default.dc1.internal.a.consul", "a.b.c.d.e.f.internal.x.consul", "api.default.dc1.elsewhere.x.consul"} {
		if name, ok := Parse(cluster); ok {
			t.Errorf("%q: %+v", cluster, name)
		}
	}
}

func FuzzAnyTextIsTaken(f *testing.F) {
	f.Add("failover-target~1~v1.api.default.dc1.internal.x.consul")
	f.Fuzz(func(t *testing.T, cluster string) {
		if name, ok := Parse(cluster); ok && name.Service == "" {
			t.Errorf("%q has no service: %+v", cluster, name)
		}
	})
}
