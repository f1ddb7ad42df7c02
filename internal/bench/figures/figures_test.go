package figures_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
)

func TestMedianIsTheMiddle(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		samples []float64
		want    float64
	}{
		"one":      {[]float64{3}, 3},
		"two":      {[]float64{4, 1}, 2.5},
		"odd":      {[]float64{9, 1, 5}, 5},
		"even":     {[]float64{9, 1, 5, 7}, 6},
		"repeated": {[]float64{2, 2, 1}, 2},
	} {
		before := append([]float64(nil), c.samples...)
		if got := figures.Median(c.samples); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
		if diff := cmp.Diff(before, c.samples); diff != "" {
			t.Errorf("%s: the samples were moved: %s", name, diff)
		}
	}
	if got := figures.Median(nil); !math.IsNaN(got) {
		t.Errorf("of none: got %v, want NaN", got)
	}
}

func TestQuantileIsTheNearestRank(t *testing.T) {
	t.Parallel()
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = i + 1
	}
	for name, c := range map[string]struct {
		sorted []int
		q      float64
		want   int
	}{
		"p50 of 100":  {hundred, 0.5, 50},
		"p99 of 100":  {hundred, 0.99, 99},
		"all of 100":  {hundred, 1, 100},
		"none of 100": {hundred, 0, 1},
		"p99 of 3":    {[]int{1, 2, 3}, 0.99, 3},
		"p50 of 1":    {[]int{7}, 0.5, 7},
		"of nothing":  {nil, 0.5, 0},
	} {
		if got := figures.Quantile(c.sorted, c.q); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

func TestTableSaysWhatWasMeasuredAndWhatWasNot(t *testing.T) {
	t.Parallel()
	var table figures.Table
	start := figures.Figure{Name: "start", Unit: "s", Goal: "< 2 s", Incumbent: "5.9 s"}
	table.Add(start, 1.23456, 0.0301)
	table.Add(figures.Figure{Name: "requests"}, 20712.6)
	table.Add(start, 100)
	table.Add(figures.Figure{Name: "writes", Goal: "0"}, 0, 0)
	table.Add(figures.Figure{Name: "never came"})
	var out strings.Builder
	if err := table.Print(&out); err != nil {
		t.Fatal(err)
	}
	want := `FIGURE    MEDIAN  SPREAD          SAMPLES  GOAL   INCUMBENT*
start     1.23 s  0.0301 to 100   3        < 2 s  5.9 s
requests  20713   20713 to 20713  1        -      -
writes    0       0 to 0          2        0      -
* as published with the goals, from a machine like this one; not measured in this run
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
