package dataplane_test

import (
	"testing"

	"github.com/hashicorp/consul/api"
)

// TestCallsStayInTheZone plays a service with one instance in zone a and two in b, called from a, b and c.
func TestCallsStayInTheZone(t *testing.T) {
	t.Parallel()
	w := startZones(t, sharedConsul(t), false, "a1", "b1", "b2")
	w.prefer(t, "a", "a", "")
	w.prefer(t, "b", "b", "gradual")
	w.prefer(t, "b full", "b", "full")
	w.prefer(t, "c", "c", "")
	w.awaitCallers(t)
	all := map[string]int{"a1": 20, "b1": 20, "b2": 20}
	inB := map[string]int{"b1": 15, "b2": 15}

	w.answered(t, "calls from a stay in a", "a", map[string]int{"a1": 30}, 0)
	w.answered(t, "calls from b stay in b", "b", inB, 3)
	w.answered(t, "calls from b stay in b, with full", "b full", inB, 3)
	w.answered(t, "calls from a zone without an instance go to all", "c", all, 3)

	w.health(t, api.HealthCritical, "a1")
	w.answered(t, "calls leave a zone whose instances are critical", "a", inB, 3)
	w.health(t, api.HealthPassing, "a1")
	w.answered(t, "calls come back", "a", map[string]int{"a1": 30}, 0)

	w.health(t, api.HealthCritical, "b1")
	w.answered(t, "a part of the calls leaves a zone half of which is critical", "b", map[string]int{"a1": 30, "b2": 70}, 18)
	w.answered(t, "no calls leave it, with full", "b full", map[string]int{"b2": 30}, 0)
	w.health(t, api.HealthCritical, "b2")
	w.answered(t, "all calls leave a zone that is critical", "b", map[string]int{"a1": 20}, 0)
	w.answered(t, "all calls leave it, with full", "b full", map[string]int{"a1": 20}, 0)
	w.health(t, api.HealthPassing, "b1", "b2")
	w.answered(t, "calls come back to b", "b", inB, 3)
}
