package problem_test

import (
	"fmt"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// A check gathers all that it finds, each at its place.
func Example() {
	var found problem.List
	upstream := problem.At("proxy", "upstreams", 0)
	found.Add(upstream.Child("localBindPort"), "is %d, want 1 to 65535", 70000)
	found.Add(problem.At("service", "meta", problem.Key("owner")), "is empty")
	fmt.Println(found.Err())
	// Output:
	// proxy.upstreams[0].localBindPort: is 70000, want 1 to 65535
	// service.meta["owner"]: is empty
}

// What depends on a value that is not known yet is not told.
func ExampleList_Without() {
	first, second := problem.At("service", "port"), problem.At("proxy", "publicListenerPort")
	var found problem.List
	found.AddWith([]problem.Path{second}, first, "is the same as %v", second)
	fmt.Println(len(found), len(found.Without(second)))
	// Output:
	// 1 0
}
