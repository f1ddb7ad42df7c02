package problem_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

func TestPathReadsAsInTheDocument(t *testing.T) {
	t.Parallel()
	for want, path := range map[string]problem.Path{
		"(root)":                           problem.At(),
		"service.port":                     problem.At("service", "port"),
		"proxy.upstreams[0].localBindPort": problem.At("proxy").Child("upstreams", 0, "localBindPort"),
	} {
		if got := path.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestProblemsThatDependOnUnknownValuesAreLeftOut(t *testing.T) {
	t.Parallel()
	var found problem.List
	found.Add(problem.At("a"), "is empty")
	found.Add(problem.At("b", 0, "c"), "is %d", 7)
	found.AddWith([]problem.Path{problem.At("x", "y")}, problem.At("d"), "clashes")
	for name, c := range map[string]struct {
		unknown problem.Path
		want    []string
	}{
		"nothing":         {problem.At("z"), []string{"a: is empty", "b[0].c: is 7", "d: clashes"}},
		"the value":       {problem.At("a"), []string{"b[0].c: is 7", "d: clashes"}},
		"a whole list":    {problem.At("b"), []string{"a: is empty", "d: clashes"}},
		"a part of it":    {problem.At("a", "b"), []string{"a: is empty", "b[0].c: is 7", "d: clashes"}},
		"the other place": {problem.At("x"), []string{"a: is empty", "b[0].c: is 7"}},
		"everything":      {problem.At(), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, p := range found.Without(c.unknown) {
				got = append(got, p.Error())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
		})
	}
}
