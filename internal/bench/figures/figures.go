// Package figures keeps samples of what is measured and prints them as a table, each figure beside its goal and what was
// published of the incumbent. Nothing here judges: machines are noisy, and figures are for people to compare within one run.
package figures

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Figure is what is measured.
type Figure struct {
	Name      string
	Unit      string // "" for plain numbers
	Goal      string // "" where there is none
	Incumbent string // as published with the goals, never measured here; "" where nothing is known
}

// Table holds the samples of each figure, in the order in which the figures first came.
type Table struct {
	rows []*row
}

type row struct {
	Figure
	samples []float64
}

// Add files samples under their figure.
func (t *Table) Add(f Figure, samples ...float64) {
	i := slices.IndexFunc(t.rows, func(r *row) bool { return r.Name == f.Name })
	if i < 0 {
		t.rows = append(t.rows, &row{Figure: f})
		i = len(t.rows) - 1
	}
	t.rows[i].samples = append(t.rows[i].samples, samples...)
}

// Print writes the table. Figures without a sample are left out.
func (t *Table) Print(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FIGURE\tMEDIAN\tSPREAD\tSAMPLES\tGOAL\tINCUMBENT*")
	for _, r := range t.rows {
		if len(r.samples) == 0 {
			continue
		}
		low, high := slices.Min(r.samples), slices.Max(r.samples)
		fmt.Fprintf(w, "%s\t%s\t%s to %s\t%d\t%s\t%s\n", r.Name, strings.TrimSpace(number(Median(r.samples))+" "+r.Unit),
			number(low), number(high), len(r.samples), cmp.Or(r.Goal, "-"), cmp.Or(r.Incumbent, "-"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(to, "* as published with the goals, from a machine like this one; not measured in this run")
	return err
}

// number shows three digits that matter, and all that stand before the decimal point.
func number(v float64) string {
	if v == 0 {
		return "0"
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	text := strconv.FormatFloat(v, 'f', min(max(digits, 0), 6), 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// Median is the middle of the samples, the mean of both where there are two; NaN of none.
func Median(samples []float64) float64 {
	n := len(samples)
	if n == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(samples))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Quantile is the smallest of the sorted values that a share q of all, 0 to 1, does not exceed; the zero value of none.
func Quantile[T cmp.Ordered](sorted []T, q float64) T {
	if len(sorted) == 0 {
		var none T
		return none
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
