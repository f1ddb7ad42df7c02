package eventqueue_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/eventqueue"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
)

var update = flag.Bool("update", false, "rewrite the golden file")

var home = iamrole.Home{Partition: "aws-cn", Region: "cn-north-1", Account: "123456789012"}

func TestADesignMatchesItsGolden(t *testing.T) {
	t.Parallel()
	got := eventqueue.Of(eventqueue.Spec{Home: home, Family: "controller-mesh", Tags: map[string]string{"team": "mesh"}, ECSClusterARNs: []string{
		"arn:aws-cn:ecs:cn-north-1:123456789012:cluster/mesh", "arn:aws-cn:ecs:cn-north-1:123456789012:cluster/batch", "arn:aws-cn:ecs:cn-north-1:123456789012:cluster/mesh",
	}}).Tagged(map[string]string{"owner": "x"})
	text, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "design.golden.json")
	if *update {
		if err := os.WriteFile(file, append(text, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), string(text)); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	for _, attributes := range []map[string]string{got.Queue.Attributes, got.DeadLetterQueue.Attributes} {
		for _, name := range []string{"Policy", "RedrivePolicy"} {
			if text := attributes[name]; text != "" && !json.Valid([]byte(text)) {
				t.Errorf("%s is no JSON: %s", name, text)
			}
		}
	}
}

// Names keep to the limits of their services, and those of two families differ.
func TestLongFamiliesHaveShortNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	a, b := eventqueue.Of(eventqueue.Spec{Home: home, Family: strings.Repeat("x", 254) + "a"}), eventqueue.Of(eventqueue.Spec{Home: home, Family: strings.Repeat("x", 254) + "b"})
	names := map[string]bool{}
	for _, d := range []eventqueue.Design{a, b} {
		for _, name := range []string{d.Queue.Name, d.DeadLetterQueue.Name} {
			if names[name] = true; len(name) > 80 {
				t.Errorf("SQS takes 80 characters, not %d: %s", len(name), name)
			}
		}
		if names[d.Rule.Name] = true; len(d.Rule.Name) > 64 {
			t.Errorf("EventBridge takes 64 characters, not %d: %s", len(d.Rule.Name), d.Rule.Name)
		}
	}
	if len(names) != 6 {
		t.Errorf("two designs have the names %v", names)
	}
}
