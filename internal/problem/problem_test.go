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
		`service.meta["a.b"]`:              problem.At("service", "meta", problem.Key("a.b")),
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

func TestAKeyIsWithinWhatHasItsName(t *testing.T) {
	t.Parallel()
	key := problem.At("meta", problem.Key("a"))
	for want, other := range map[bool]problem.Path{true: problem.At("meta", "a"), false: problem.At("meta", "b")} {
		if key.Within(other) != want || other.Within(key) != want {
			t.Errorf("%s within %s: want %t, both ways", key, other, want)
		}
	}
}

func TestPlacesAreRenamedWhereverTheyStand(t *testing.T) {
	t.Parallel()
	var found problem.List
	found.AddWith([]problem.Path{problem.At("a", "b")}, problem.At("a", 0), "is %d, %q is at %s and %v", 7, "a", problem.At("a", "c"), problem.At("other"))
	renamed := found.In(func(at problem.Path) problem.Path {
		if at.Within(problem.At("a")) {
			return problem.At("x", "y").Child(at[1:]...)
		}
		return at
	})
	if got, want := renamed.Err().Error(), `x.y[0]: is 7, "a" is at x.y.c and other`; got != want {
		t.Errorf("renamed: got %s, want %s", got, want)
	}
	if kept := renamed.Without(problem.At("x", "y", "b")); len(kept) > 0 {
		t.Errorf("the other place was not renamed: %v", kept.Err())
	}
	if got, want := found.Err().Error(), `a[0]: is 7, "a" is at a.c and other`; got != want {
		t.Errorf("the list itself: got %s, want %s", got, want)
	}
}

func TestWarningsAreNoErrors(t *testing.T) {
	t.Parallel()
	var found problem.List
	found.Warn(nil, problem.At("a"), "is odd")
	if err := found.Err(); err != nil {
		t.Error(err)
	}
	found.Add(problem.At("b"), "is wrong")
	if got, want := found.Err().Error(), "b: is wrong"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
