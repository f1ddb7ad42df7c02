package mesh_test

import (
	"fmt"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// What a task of the family Web is in Consul's catalog.
func Example() {
	service := mesh.ServiceName("", "Web")
	id := mesh.ServiceID(service, "1f3a9c")
	fmt.Println(service)
	fmt.Println(id)
	fmt.Println(mesh.ProxyID(id))
	fmt.Println(mesh.CheckID(id, mesh.ContainerDataplane))
	// Output:
	// web
	// web-1f3a9c
	// web-1f3a9c-sidecar-proxy
	// web-1f3a9c-consul-dataplane
}

// Roles have names of 64 characters at the most.
func ExampleNameWithin() {
	fmt.Println(mesh.NameWithin(24, "web", "-execution"))
	fmt.Println(mesh.NameWithin(24, "web-in-the-second-environment", "-execution"))
	// Output:
	// web-execution
	// web-i-9846855a-execution
}
