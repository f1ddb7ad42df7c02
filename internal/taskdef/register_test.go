package taskdef_test

import (
	"path/filepath"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/definition"
)

func TestGoldensAreWhatECSDocuments(t *testing.T) {
	t.Parallel()
	for _, dir := range cases(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			if _, err := definition.Complete(build(t, dir)); err != nil {
				t.Error(err)
			}
		})
	}
}
