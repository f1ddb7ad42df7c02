package controller

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/holdings"
	"github.com/consulecs/terraform-provider-consulecs/internal/reap"
)

func TestTheTokensOfAFullLookAreKnownUntilTheirTaskIsGone(t *testing.T) {
	t.Parallel()
	services := map[string]consul.NodeService{}
	var all []consul.NodeService
	for name, instances := range map[string]int{"small": fewInstances, "some": someInstances, "large": someInstances + 1} {
		for i := range instances {
			all = append(all, consul.NodeService{ID: fmt.Sprint(name, i), Name: name, TaskID: fmt.Sprint(name, i)})
		}
		services[name] = consul.NodeService{ID: name + "0", Name: name, TaskID: name + "0"}
		services["young "+name] = consul.NodeService{ID: name + "-young", Name: name, TaskID: name + "-young"}
	}
	token := func(taskID, accessor string) consul.LoginToken {
		return consul.LoginToken{AccessorID: accessor, TaskID: taskID, Namespace: "apps"}
	}
	tokens := []consul.LoginToken{token("small0", "a"), token("some0", "b"), token("some0", "c"), token("large0", "d"), token("deregistered", "e")}
	c := &catalog{}
	c.remember(all, holdings.Sort(all, tokens))
	for name, want := range map[string]struct {
		taskID string
		tokens []consul.LoginToken
		unsure bool // the service's tokens are listed besides
	}{
		"small":       {"small0", tokens[:1], true},
		"some":        {"some0", tokens[1:3], false},
		"large":       {"large0", tokens[3:4], false},
		"young small": {"small-young", nil, true},
		"young some":  {"some-young", nil, true},
		"young large": {"large-young", nil, false},
	} {
		known, unsure := c.known([]consul.NodeService{services[name]}, []string{want.taskID})
		if diff := cmp.Diff(want.tokens, known); diff != "" || (len(unsure) > 0) != want.unsure {
			t.Errorf("%s: listed besides %v, want %t %s", name, unsure, want.unsure, diff)
		}
	}
	if known, _ := c.known(nil, []string{"deregistered"}); cmp.Diff(tokens[4:], known) != "" {
		t.Errorf("of a task without a service: %v", known)
	}
	c.forget([]reap.Removal{{Holding: reap.Holding{TaskID: "some0"}}})
	if known, _ := c.known(nil, []string{"some0", "large0"}); cmp.Diff(tokens[3:4], known) != "" {
		t.Errorf("once one is gone: %v", known)
	}
}
