// Package clustername reads the names that Consul gives to Envoy's clusters.
package clustername

import "strings"

// Name says what a cluster stands for. The formats are those of Consul 1.22: the SNI of a service, behind marks that end with
// a tilde, such as failover-target~0~.
type Name struct {
	Service   string
	Namespace string
	Partition string // empty for the default one

	// One of the two is empty.
	Datacenter string
	Peer       string
}

// domainLabels is how many labels a trust domain has: an ID and "consul".
const domainLabels = 2

// Parse reads a name. It is not ok for clusters that are no service of Consul's, such as the application's own.
func Parse(cluster string) (name Name, ok bool) {
	sni := cluster[strings.LastIndex(cluster, "~")+1:]
	labels := strings.Split(sni, ".")
	at := len(labels) - domainLabels - 1
	if at < 0 {
		return Name{}, false
	}
	kind, labels := labels[at], labels[:at]
	last := func() string {
		if len(labels) == 0 {
			return ""
		}
		label := labels[len(labels)-1]
		labels = labels[:len(labels)-1]
		return label
	}
	subset := true
	switch kind {
	case "internal":
		name.Datacenter = last()
	case "internal-v1":
		name.Datacenter, name.Partition = last(), last()
	case "external":
		name.Peer = last()
		if len(labels) > 2 {
			name.Partition = last()
		}
		subset = false
	default:
		return Name{}, false
	}
	name.Namespace, name.Service = last(), last()
	if subset && len(labels) == 1 {
		labels = nil
	}
	return name, name.Service != "" && len(labels) == 0
}
