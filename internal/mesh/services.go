package mesh

import "strconv"

// MaxServices is how many Consul services a task may be. For each after the first there is a binding rule in Consul, whether or
// not a task uses it, and each has an Envoy of its own in the task.
const MaxServices = 5

// RoleTagOfService is the tag of an IAM task role that grants the n-th service of a task, counted from 0. For the first it is
// RoleTagServiceName; the others are ours: service-name-2 and so on.
func RoleTagOfService(n int) string {
	if n == 0 {
		return RoleTagServiceName
	}
	return RoleTagServiceName + "-" + strconv.Itoa(n+1)
}
