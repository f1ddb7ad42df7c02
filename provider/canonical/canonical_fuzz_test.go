package canonical

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
)

// FuzzCanonical wants the canonical form to be its own, and to be the same whatever the order of the containers.
func FuzzCanonical(f *testing.F) {
	for _, definition := range []any{asked(), answered()} {
		doc, err := awsjson.Marshal(definition)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
	}
	for _, doc := range []string{
		`null`, `{"containerDefinitions":[null,{}]}`, `{"volumes":[{"name":"b"},{"name":"a","efsVolumeConfiguration":{"rootDirectory":"/"}}]}`,
		`{"containerDefinitions":[{"portMappings":[{"containerPort":9,"hostPort":0},{"containerPort":80,"hostPort":80,"protocol":"udp"}],"cpu":0,"stopTimeout":0}]}`,
		`{"containerDefinitions":[{"healthCheck":{"timeout":0},"dockerLabels":{"name":""},"logConfiguration":{"logDriver":"awslogs","options":{"a":""}},"environment":[{"value":""},{}]}]}`,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		var definition ecstypes.TaskDefinition
		if awsjson.Unmarshal(doc, &definition) != nil {
			return
		}
		first, err := Of(&definition)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, canonicalAgain(t, first), cmp.AllowUnexported(first)); diff != "" {
			t.Errorf("%s (-first +second):\n%s", doc, diff)
		}
		if names := containerNames(definition); len(slices.Compact(names)) < len(names) {
			return // which no registration may have
		}
		slices.Reverse(definition.ContainerDefinitions)
		turned, err := Of(&definition)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, turned, cmp.AllowUnexported(first)); diff != "" {
			t.Errorf("%s, containers turned round:\n%s", doc, diff)
		}
	})
}

// canonicalAgain is the canonical form of a canonical form.
func canonicalAgain(t *testing.T, first Definition) Definition {
	t.Helper()
	var frame map[string]any
	if err := json.Unmarshal([]byte(first.frame), &frame); err != nil {
		t.Fatal(err)
	}
	frame["containerDefinitions"] = json.RawMessage(first.containers)
	doc, err := json.Marshal(frame)
	if err != nil {
		t.Fatal(err)
	}
	var definition ecstypes.TaskDefinition
	if err := awsjson.UnmarshalStrict(doc, &definition); err != nil {
		t.Fatalf("read %s: %v", doc, err)
	}
	second, err := Of(&definition)
	if err != nil {
		t.Fatal(err)
	}
	return second
}

func containerNames(definition ecstypes.TaskDefinition) []string {
	var names []string
	for _, c := range definition.ContainerDefinitions {
		names = append(names, aws.ToString(c.Name))
	}
	slices.Sort(names)
	return names
}
