package bootstrap_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/agents/bootstrap"
)

// TestTheGuideHasThePoliciesThatArePrinted holds what users copy against what the tests of the controller's duties run under.
func TestTheGuideHasThePoliciesThatArePrinted(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../docs/guides/controller.md")
	if err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	args := []string{"-print", "-controller-writes-acl", "-ecs-cluster", "arn:aws:ecs:us-east-1:111122223333:cluster/mesh", "-controller-role", "controller"}
	if err := bootstrap.Run(t.Context(), func(string) string { return "" }, args, &out, &log); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	controllers := 0
	for policy := range strings.SplitSeq(out.String(), "\n\n") {
		title, rules, _ := strings.Cut(strings.TrimSpace(policy), "\n")
		if !strings.HasPrefix(title, "# consulecs-controller-") {
			continue
		}
		controllers++
		if !strings.Contains(string(guide), "```hcl\n"+strings.TrimSpace(rules)+"\n```") {
			t.Errorf("the guide lacks %s\n%s", title, rules)
		}
	}
	if controllers != 2 {
		t.Errorf("%d policies of controllers are printed, want 2:\n%s", controllers, out.String())
	}
}
