package mesh

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

// Scope says where in Consul an object lies. Empty fields mean Consul's defaults; admin partitions and namespaces
// exist in Consul Enterprise only.
type Scope struct {
	Datacenter, Partition, Namespace string
}

// ServiceID is the catalog ID of the service instance that a task provides.
func ServiceID(service, taskID string) string { return service + "-" + taskID }

// ProxyID is the catalog ID of the sidecar proxy of the service instance serviceID.
func ProxyID(serviceID string) string { return serviceID + "-sidecar-proxy" }

// ProxyName is the catalog name of the sidecar proxies of a service.
func ProxyName(service string) string { return service + "-sidecar-proxy" }

// CheckID is the ID of the check of serviceID (a service's or a proxy's) that mirrors a container.
func CheckID(serviceID, container string) string { return serviceID + "-" + container }

// ControllerKey is the key in Consul that the leader of the ECS cluster's controllers holds.
func ControllerKey(ecsClusterARN string) string { return "consulecs/controller/" + ecsClusterARN }

// validServiceName is the incumbent's rule for names of services.
var validServiceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$`)

// CheckServiceName says why Consul or the incumbent's agents would refuse name; nil means that they take it.
func CheckServiceName(name string) error {
	if validServiceName.MatchString(name) {
		return nil
	}
	return fmt.Errorf("service name %q: want lower-case letters, digits, '-' and '_', beginning and ending with a letter or digit", name)
}

// ServiceName is the Consul service of a task family: name if given, else the family in lower case.
func ServiceName(name, family string) string {
	if name != "" {
		return name
	}
	return strings.ToLower(family)
}

// ReservedPorts are ports in a task that the public listener may not take: they belong to Consul and Envoy. The list is
// the incumbent module's; 8503 is not in it and stays free, since definitions in the field use it.
func ReservedPorts() []int {
	return []int{8300, 8301, 8302, 8500, 8501, 8502, 8600, 10000, PortEnvoyAdmin}
}

// hashDigits is how many hexadecimal digits of a hash stand in a shortened name.
const hashDigits = 8

// NameWithin is the family and the suffix, for something of the family's that AWS allows names of so many characters at the most.
// Where that is longer, the family is cut and a '-' and 8 hexadecimal digits of the SHA-256 of the whole family keep the name unique.
func NameWithin(most int, family, suffix string) string {
	if len(family)+len(suffix) <= most {
		return family + suffix
	}
	sum := sha256.Sum256([]byte(family))
	digits := hex.EncodeToString(sum[:])[:hashDigits]
	return family[:most-len(suffix)-hashDigits-1] + "-" + digits + suffix
}
