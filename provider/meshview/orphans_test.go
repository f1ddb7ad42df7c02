package meshview

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/reap"
)

func TestOnlyWhatECSCallsDeadIsAnOrphan(t *testing.T) {
	t.Parallel()
	held := map[string][]string{"alive": {"1"}, "missing": {"b", "a"}, "stopped": {"2"}, "unknown": {"3"}, "unanswered": {"4"}}
	verdicts := map[string]reap.Verdict{"alive": reap.Alive, "missing": reap.Missing, "stopped": reap.Stopped, "unknown": reap.Unknown}
	want := []orphan{{"missing", "missing", []string{"a", "b"}}, {"stopped", "stopped", []string{"2"}}}
	if diff := cmp.Diff(want, orphansOf(held, verdicts)); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}
