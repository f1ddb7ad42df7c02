package envoy

import (
	"slices"
	"strings"
)

type statsConfig struct {
	Tags        []statsTag `json:"stats_tags"`
	DefaultTags bool       `json:"use_all_default_tags"`
}

// statsTag takes a tag out of the names of metrics, or adds a fixed one to all. Of a regular expression the first group
// is removed from the name, the second is the tag's value.
type statsTag struct {
	Name  string  `json:"tag_name"`
	Regex string  `json:"regex,omitempty"`
	Fixed *string `json:"fixed_value,omitempty"`
}

func fixedTag(name, value string) statsTag { return statsTag{Name: name, Fixed: &value} }

// segment is one piece of a metric's name, between dots; which one its tag says.
type segment struct {
	tag           string
	before, after string // regular expressions, as is the piece
	piece         string
	optional      bool
}

// anything is a piece.
const anything = `[^.]+`

// render makes a regular expression of segments. The piece of the wanted tag is a group.
func render(wanted string, segments ...segment) string {
	var b strings.Builder
	for _, s := range segments {
		text := s.piece
		if s.tag == wanted {
			text = "(" + text + ")"
		}
		text = s.before + text + s.after
		if s.optional {
			text = "(?:" + text + ")?"
		}
		b.WriteString(text)
	}
	return b.String()
}

// upstream is HASH~SUBSET.SERVICE.NAMESPACE.PARTITION.DATACENTER.ROUTINGTYPE.TRUSTDOMAIN, which names an upstream's cluster.
func upstream() []segment {
	return []segment{
		{tag: "custom_hash", piece: anything, after: `~`, optional: true},
		{tag: "service_subset", piece: anything, after: `\.`, optional: true},
		{tag: "service", piece: anything, after: `\.`},
		{tag: "namespace", piece: anything, after: `\.`},
		{tag: "partition", piece: anything, after: `\.`, optional: true},
		{tag: "datacenter", piece: anything, after: `\.`},
		{tag: "routing_type", piece: anything, after: `\.`},
		{tag: "trust_domain", piece: anything},
	}
}

// inCluster is a tag from the name of an upstream's cluster. What is behind the optional prefix is removed.
func inCluster(tag, regex string) statsTag {
	return statsTag{Name: "consul.destination." + tag, Regex: `^cluster\.(?:passthrough~)?(` + regex + `\.consul\.)`}
}

// clusterTags are the tags of upstreams. Envoy tries each of them on each metric of each cluster when it gets the cluster:
// with hundreds of upstreams nearly all of the time until it serves goes into that, and what an expression tries in vain
// costs most. So where a tag is found by counting pieces from either end, its expression does not care which of the others
// are which, and tries the usual name first, the one of five pieces without subset and partition.
func clusterTags() []statsTag {
	const (
		p    = anything + `\.`
		more = `(?:` + p + `(?:` + p + `)??)??` // a subset; a partition only beside it
	)
	return []statsTag{
		inCluster("custom_hash", `(?:([^.]+)~)?`+p+more+p+p+p+anything),
		inCluster("service_subset", `(?:[^.]+~)?(?:([^.]+)\.(?:`+p+`)??)??`+p+p+p+p+anything),
		inCluster("service", render("service", upstream()...)),
		inCluster("namespace", render("namespace", upstream()...)),
		inCluster("partition", p+p+`(?:`+p+`(?:([^.]+)\.)??)??`+p+`internal[^.]*\.`+anything), // the peer stands in its place
		inCluster("datacenter", p+p+more+`([^.]+)\.internal[^.]*\.`+anything),                 // and here, where the route is external
		inCluster("peer", p+`(?:`+p+`)?([^.]+)\.external\.`+anything),
		inCluster("routing_type", p+p+p+more+`([^.]+)\.`+anything),
		inCluster("trust_domain", p+p+p+p+more+`([^.]+)`),
		inCluster("target", `(`+p+p+more+anything+`)\.`+p+anything),
		inCluster("full_target", `(`+p+p+more+p+p+anything+`)`),
	}
}

// listenerTags are tags from the names of upstreams' listeners. Each has an expression for each protocol: one that begins
// with a whole piece is tried on the metrics that begin with it, and on no others.
func listenerTags() []statsTag {
	service := segment{tag: "service", piece: anything}
	namespace := segment{tag: "namespace", before: `\.`, piece: anything, optional: true}
	local := []segment{
		service, namespace,
		{tag: "partition", before: `\.`, piece: anything, optional: true},
		{tag: "datacenter", before: `\.`, piece: anything, after: `\.`},
	}
	peered := []segment{service, namespace, {tag: "peer", before: `\.`, piece: anything, after: `\.`}}
	const either = `upstream(?:_peered)?` // the forms of both have the service first and the namespace second
	var tags []statsTag
	for _, t := range []struct{ tag, kind, regex string }{
		{"service", either, render("service", local...)},
		{"datacenter", "upstream", render("datacenter", local...)},
		{"peer", "upstream_peered", render("peer", peered...)},
		{"namespace", either, render("namespace", local...)},
		{"partition", "upstream", render("partition", local...)},
	} {
		for _, protocol := range []string{"tcp", "http"} {
			tags = append(tags, statsTag{Name: "consul.upstream." + t.tag, Regex: `^` + protocol + `\.` + t.kind + `\.(` + t.regex + `)`})
		}
	}
	return tags
}

// zoneTags are the two zones in the names of Envoy's counts of requests from zone to zone. They cost nothing where no zone is preferred.
func (b Bootstrap) zoneTags() []statsTag {
	if b.Zone == "" {
		return nil
	}
	return []statsTag{
		{Name: "consul.source.zone", Regex: `^cluster\..+\.zone\.(([^.]+)\.)[^.]+\.upstream_rq`},
		{Name: "consul.destination.zone", Regex: `^cluster\..+\.zone\.[^.]+\.(([^.]+)\.)upstream_rq`},
	}
}

// statsTags lists the user's tags, then those that Consul's metrics have in their names, then the proxy's own. A user's tag
// takes the place of one of the same name.
func (b Bootstrap) statsTags() []statsTag {
	tags := slices.Clone(b.Central.tags)
	add := func(t statsTag) {
		if !slices.ContainsFunc(b.Central.tags, func(u statsTag) bool { return u.Name == t.Name }) {
			tags = append(tags, t)
		}
	}
	for _, t := range slices.Concat(clusterTags(), listenerTags(), b.zoneTags()) {
		add(t)
	}
	for _, t := range []struct{ name, value string }{
		{"local_cluster", b.Service},
		{"consul.source.service", b.Service},
		{"consul.source.namespace", b.Namespace},
		{"consul.source.partition", b.Partition},
		{"consul.source.datacenter", b.Datacenter},
	} {
		if t.value != "" {
			add(fixedTag(t.name, t.value))
		}
	}
	return tags
}

// userTags are envoy_stats_tags: name=value, or a name alone, whose value is 1.
func userTags(list []string) []statsTag {
	var tags []statsTag
	for _, t := range list {
		name, value, found := strings.Cut(t, "=")
		if !found {
			value = "1"
		}
		tags = append(tags, fixedTag(strings.ToLower(name), value))
	}
	return tags
}
