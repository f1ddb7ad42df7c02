package envoy_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStatTags reads metrics' names as Envoy does: the second group of a tag's expression is its value, the first is removed.
func TestStatTags(t *testing.T) {
	t.Parallel()
	const trust = "0b5a6ac3-1b9f-4a8c-8a4e-5f4a3a0b8a11"
	type tags map[string]string
	d, u := "consul.destination.", "consul.upstream."
	for name, want := range map[string]tags{
		"cluster.pong.default.dc2.internal." + trust + ".consul.bind_errors": {
			d + "service": "pong", d + "namespace": "default", d + "datacenter": "dc2", d + "routing_type": "internal", d + "trust_domain": trust,
			d + "target": "pong.default.dc2", d + "full_target": "pong.default.dc2.internal." + trust,
		},
		"cluster.passthrough~pong.default.dc2.internal." + trust + ".consul.bind_errors": {
			d + "service": "pong", d + "namespace": "default", d + "datacenter": "dc2", d + "routing_type": "internal", d + "trust_domain": trust,
			d + "target": "pong.default.dc2", d + "full_target": "pong.default.dc2.internal." + trust,
		},
		"cluster.f8f8f8f8~v2.pong.default.partA.dc2.internal-v1." + trust + ".consul.x": {
			d + "custom_hash": "f8f8f8f8", d + "service_subset": "v2", d + "service": "pong", d + "namespace": "default", d + "partition": "partA",
			d + "datacenter": "dc2", d + "routing_type": "internal-v1", d + "trust_domain": trust,
			d + "target": "f8f8f8f8~v2.pong.default.partA.dc2", d + "full_target": "f8f8f8f8~v2.pong.default.partA.dc2.internal-v1." + trust,
		},
		"cluster.v2.pong.default.dc2.internal." + trust + ".consul.x": {
			d + "service_subset": "v2", d + "service": "pong", d + "namespace": "default",
			d + "datacenter": "dc2", d + "routing_type": "internal", d + "trust_domain": trust,
			d + "target": "v2.pong.default.dc2", d + "full_target": "v2.pong.default.dc2.internal." + trust,
		},
		"cluster.pong.default.cloudpeer.external." + trust + ".consul.x": {
			d + "service": "pong", d + "namespace": "default", d + "peer": "cloudpeer", d + "routing_type": "external", d + "trust_domain": trust,
			d + "target": "pong.default.cloudpeer", d + "full_target": "pong.default.cloudpeer.external." + trust,
		},
		"tcp.upstream.db.dc1.x":                          {u + "service": "db", u + "datacenter": "dc1"},
		"http.upstream.web.frontend.west.dc1.x":          {u + "service": "web", u + "namespace": "frontend", u + "partition": "west", u + "datacenter": "dc1"},
		"tcp.upstream_peered.db.frontend.cloudpeer.x":    {u + "service": "db", u + "namespace": "frontend", u + "peer": "cloudpeer"},
		"tcp.upstream_peered.db.cloudpeer.downstream_cx": {u + "service": "db", u + "peer": "cloudpeer"},
		"cluster.self_admin.upstream_cx_total":           {},
		"http.public_listener.downstream_rq_2xx":         {},
		"cluster.local_app.upstream_rq_time":             {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := tags{}
			for _, tag := range rendered(t, bootstrap()).StatsConfig.Tags {
				if tag.Regex == "" {
					continue
				}
				m := regexp.MustCompile(tag.Regex).FindStringSubmatch(name)
				if m != nil && m[2] != "" {
					got[tag.Tag_name] = m[2]
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestATagRemovesTheWholeNameOfTheUpstream(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"cluster.passthrough~h~v2.pong.default.dc2.internal.td.consul.bind_errors": "cluster.passthrough~bind_errors",
		"cluster.pong.default.peer.external.td.consul.bind_errors":                 "cluster.bind_errors",
		"tcp.upstream.db.dc1.downstream_cx_total":                                  "tcp.upstream.downstream_cx_total",
		"tcp.upstream_peered.db.peer.downstream_cx_total":                          "tcp.upstream_peered.downstream_cx_total",
	} {
		for _, tag := range rendered(t, bootstrap()).StatsConfig.Tags {
			if m := regexp.MustCompile(tag.Regex).FindStringSubmatchIndex(name); tag.Regex != "" && m != nil {
				if got := name[:m[2]] + name[m[3]:]; got != want {
					t.Errorf("%s makes %s of %s, want %s", tag.Tag_name, got, name, want)
				}
			}
		}
	}
}

func TestAUsersTagTakesThePlaceOfOurs(t *testing.T) {
	t.Parallel()
	b := bootstrap()
	b.Central = central(t, map[string]any{"envoy_stats_tags": "LOCAL_CLUSTER=mine"})
	var values []string
	for _, tag := range rendered(t, b).StatsConfig.Tags {
		if tag.Tag_name == "local_cluster" {
			values = append(values, tag.Fixed_value)
		}
	}
	if diff := cmp.Diff([]string{"mine"}, values); diff != "" {
		t.Error(diff)
	}
}

// TestTagsOfClustersAreThoseOfTheirPlainDefinitions compares the expressions with ones that spell out what each piece is and
// take what is optional wherever they can: those are the incumbent's tags, and slow.
func TestTagsOfClustersAreThoseOfTheirPlainDefinitions(t *testing.T) {
	t.Parallel()
	const any, routed, internal = `(?:[^.]+~)?(?:[^.]+\.)?[^.]+\.[^.]+\.(?:[^.]+\.)?[^.]+`, `\.[^.]+\.[^.]+`, `\.internal[^.]*\.[^.]+`
	plain := map[string]string{
		"custom_hash":    `(?:([^.]+)~)?(?:[^.]+\.)?[^.]+\.[^.]+\.(?:[^.]+\.)?[^.]+` + routed,
		"service_subset": `(?:[^.]+~)?(?:([^.]+)\.)?[^.]+\.[^.]+\.(?:[^.]+\.)?[^.]+` + routed,
		"service":        `(?:[^.]+~)?(?:[^.]+\.)?([^.]+)\.[^.]+\.(?:[^.]+\.)?[^.]+` + routed,
		"namespace":      `(?:[^.]+~)?(?:[^.]+\.)?[^.]+\.([^.]+)\.(?:[^.]+\.)?[^.]+` + routed,
		"partition":      `(?:[^.]+~)?(?:[^.]+\.)?[^.]+\.[^.]+\.(?:([^.]+)\.)?[^.]+` + internal,
		"datacenter":     `(?:[^.]+~)?(?:[^.]+\.)?[^.]+\.[^.]+\.(?:[^.]+\.)?([^.]+)` + internal,
		"peer":           `[^.]+\.(?:[^.]+\.)?([^.]+)\.external\.[^.]+`,
		"routing_type":   any + `\.([^.]+)\.[^.]+`,
		"trust_domain":   any + `\.[^.]+\.([^.]+)`,
		"target":         `(` + any + `)` + routed,
		"full_target":    `(` + any + routed + `)`,
	}
	var names []string
	for _, prefix := range []string{"", "passthrough~", "h1~", "passthrough~h1~", "failover-target~0~"} {
		for pieces := range 9 {
			for _, routing := range []string{"internal", "internal-v1", "external", "query"} {
				for _, end := range []string{"td.consul.upstream_cx_total", "td.consul.upstream_rq.timeout", "td.upstream_cx_total"} {
					names = append(names, "cluster."+prefix+strings.Join(strings.Split("abcdefghi"[:pieces], ""), ".")+"."+routing+"."+end)
				}
			}
		}
	}
	names = append(names, "cluster.local_app.upstream_rq_time", "cluster.self_admin.upstream_cx_total",
		"cluster.consul.default.dc1.internal.td.consul.x", "cluster.v2.web.default.consul.internal.td.consul.x")
	found := 0
	for _, tag := range rendered(t, bootstrap()).StatsConfig.Tags {
		name, isCluster := strings.CutPrefix(tag.Tag_name, "consul.destination.")
		if !isCluster {
			continue
		}
		want := regexp.MustCompile(`^cluster\.(?:passthrough~)?(` + plain[name] + `\.consul\.)`)
		got := regexp.MustCompile(tag.Regex)
		for _, metric := range names {
			w, g := want.FindStringSubmatch(metric), got.FindStringSubmatch(metric)
			if w == nil && g == nil {
				continue
			}
			found++
			if w == nil || g == nil || w[1] != g[1] || w[2] != g[2] {
				t.Errorf("%s of %s: got %q, want %q", name, metric, g, w)
			}
		}
	}
	if found == 0 {
		t.Error("no metric has a tag")
	}
}
