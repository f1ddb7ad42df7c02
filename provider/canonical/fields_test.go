package canonical

import (
	"maps"
	"slices"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/filled"
)

// sameWithout are the fields of a registration without which a definition is the same, with the reasons.
var sameWithout = map[string]string{
	"ContainerDefinitions[0].Essential":   "ECS's default is true",
	"InferenceAccelerators":               "AWS has ended them, and nothing sets them",
	"InferenceAccelerators[0].DeviceName": "the same",
	"InferenceAccelerators[0].DeviceType": "the same",
	"Tags":                                "they change without a new revision",
	"Tags[0].Key":                         "the same",
	"Tags[0].Value":                       "the same",
}

// TestEveryFieldOfADefinitionCounts clears every field that a registration may have, one at a time: none may get lost on the way to
// what is compared, and what state and plans show.
func TestEveryFieldOfADefinitionCounts(t *testing.T) {
	t.Parallel()
	whole := show(t, filled.In(&taskdef.Definition{}), "a")
	needed := map[string]bool{}
	for i, p := range filled.Places(filled.In(&taskdef.Definition{})) {
		cleared := filled.In(&taskdef.Definition{})
		filled.Places(cleared)[i].Clear()
		got := show(t, cleared, "a")
		same := got.Hash == whole.Hash
		if shown := got.Frame == whole.Frame && maps.Equal(got.Containers, whole.Containers); shown != same {
			t.Errorf("%s is compared and shown in two ways", p.Path)
		}
		if _, may := sameWithout[p.Path]; may {
			needed[p.Path] = same
		} else if same {
			t.Errorf("without %s the definition is the same", p.Path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(sameWithout)) {
		if !needed[path] {
			t.Errorf("%s counts, though it is an exception", path)
		}
	}
}
