package block

import (
	"reflect"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// Check warns of a login that is described, by the provider and the resource together, and never switched on.
func (m *Login) Check(found *problem.List) {
	if m == nil || m.Enabled != nil || reflect.DeepEqual(*m, Login{}) {
		return
	}
	at := problem.At("login")
	found.Warn(nil, at.Child("enabled"), "is missing, so the agents do not log in and the rest of %s does nothing: set it to true where Consul's ACLs are on, else to false", at)
}
