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

// target is HASH~SUBSET.SERVICE.NAMESPACE.PARTITION.DATACENTER, which names an upstream in its cluster.
func target() []segment {
	return []segment{
		{tag: "custom_hash", piece: anything, after: `~`, optional: true},
		{tag: "service_subset", piece: anything, after: `\.`, optional: true},
		{tag: "service", piece: anything, after: `\.`},
		{tag: "namespace", piece: anything, after: `\.`},
		{tag: "partition", piece: anything, after: `\.`, optional: true},
		{tag: "datacenter", piece: anything},
	}
}

// routed is .ROUTINGTYPE.TRUSTDOMAIN, which follows the target.
func routed(routing string) []segment {
	return []segment{
		{tag: "routing_type", before: `\.`, piece: routing},
		{tag: "trust_domain", before: `\.`, piece: anything},
	}
}

// inCluster is a tag from the name of an upstream's cluster. What is behind the optional prefix is removed.
func inCluster(tag, regex string) statsTag {
	return statsTag{Name: "consul.destination." + tag, Regex: `^cluster\.(?:passthrough~)?(` + regex + `\.consul\.)`}
}

// inListener is a tag from the name of an upstream's listener.
func inListener(tag, kind, regex string) statsTag {
	return statsTag{Name: "consul.upstream." + tag, Regex: `^(?:tcp|http)\.` + kind + `\.(` + regex + `)`}
}

// consulTags are the tags that Consul's metrics have in their names, in the order in which others list them.
func consulTags() []statsTag {
	var tags []statsTag
	for _, tag := range []string{"custom_hash", "service_subset", "service", "namespace", "partition", "datacenter", "peer", "routing_type", "trust_domain"} {
		switch tag {
		case "partition", "datacenter": // the peer stands in their place where the route is external
			tags = append(tags, inCluster(tag, render(tag, slices.Concat(target(), routed(`internal[^.]*`))...)))
		case "peer":
			tags = append(tags, inCluster(tag, render(tag,
				segment{tag: "service", piece: anything, after: `\.`},
				segment{tag: "namespace", piece: anything, after: `\.`, optional: true},
				segment{tag: "peer", piece: anything},
			)+render("", routed("external")...)))
		default:
			tags = append(tags, inCluster(tag, render(tag, slices.Concat(target(), routed(anything))...)))
		}
	}
	tags = append(tags,
		inCluster("target", "("+render("", target()...)+")"+render("", routed(anything)...)),
		inCluster("full_target", "("+render("", slices.Concat(target(), routed(anything))...)+")"),
	)
	service := segment{tag: "service", piece: anything}
	namespace := segment{tag: "namespace", before: `\.`, piece: anything, optional: true}
	local := []segment{
		service, namespace,
		{tag: "partition", before: `\.`, piece: anything, optional: true},
		{tag: "datacenter", before: `\.`, piece: anything, after: `\.`},
	}
	peered := []segment{service, namespace, {tag: "peer", before: `\.`, piece: anything, after: `\.`}}
	const either = `upstream(?:_peered)?` // the forms of both have the service first and the namespace second
	return append(tags,
		inListener("service", either, render("service", local...)),
		inListener("datacenter", "upstream", render("datacenter", local...)),
		inListener("peer", "upstream_peered", render("peer", peered...)),
		inListener("namespace", either, render("namespace", local...)),
		inListener("partition", "upstream", render("partition", local...)),
	)
}

// statsTags lists the user's tags, then Consul's, then the proxy's own. A user's tag takes the place of one of the same name.
func (b Bootstrap) statsTags() []statsTag {
	tags := slices.Clone(b.Central.tags)
	add := func(t statsTag) {
		if !slices.ContainsFunc(b.Central.tags, func(u statsTag) bool { return u.Name == t.Name }) {
			tags = append(tags, t)
		}
	}
	for _, t := range consulTags() {
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
