package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Status is what a check came to.
type Status string

// The statuses. Text says FAIL where JSON says fail.
const (
	OK   Status = "ok"
	Warn Status = "warn" // the task works, or may soon; somebody should know
	Fail Status = "fail"
	Skip Status = "skip" // not made: Found says why
)

// Finding is what one check found.
type Finding struct {
	Check  string `json:"check"`
	Status Status `json:"status"`
	Found  string `json:"found"`
	Fix    string `json:"fix"` // what to do about it; "" for nothing

	idle bool // skipped because nothing asks for what is checked: no hindrance to the checks that need this one
}

func ok(format string, args ...any) Finding {
	return Finding{Status: OK, Found: fmt.Sprintf(format, args...)}
}

func warn(found, fix string) Finding { return Finding{Status: Warn, Found: found, Fix: fix} }

func fail(found, fix string) Finding { return Finding{Status: Fail, Found: found, Fix: fix} }

// skip is for a check that cannot be made.
func skip(format string, args ...any) Finding {
	return Finding{Status: Skip, Found: fmt.Sprintf(format, args...)}
}

// notAsked is for a check of something that the task does not want.
func notAsked(format string, args ...any) Finding {
	f := skip(format, args...)
	f.idle = true
	return f
}

// failed is what an error says. Its hint is the fix; without one, otherwise is.
func failed(err error, otherwise string) Finding {
	found, hint, hinted := strings.Cut(err.Error(), "\nhint: ")
	if !hinted {
		hint = otherwise
	}
	return fail(found, hint)
}

// oneLine is f with the line breaks of joined errors gone.
func (f Finding) oneLine() Finding {
	one := func(text string) string { return strings.Join(strings.Split(strings.TrimSpace(text), "\n"), "; ") }
	f.Found, f.Fix = one(f.Found), one(f.Fix)
	return f
}

// hinders reports whether a check that needs this one cannot be made.
func (f Finding) hinders() bool { return f.Status == Fail || f.Status == Skip && !f.idle }

// report is what was found, in the order of the checks.
type report []Finding

func (r report) count(s Status) int {
	n := 0
	for _, f := range r {
		if f.Status == s {
			n++
		}
	}
	return n
}

func (r report) write(w io.Writer, asJSON bool) error {
	if asJSON {
		return r.writeJSON(w)
	}
	return r.writeText(w)
}

// writeText writes a line for each check, the fix on a line of its own, and a summary.
func (r report) writeText(w io.Writer) error {
	var b strings.Builder
	for _, f := range r {
		word := string(f.Status)
		if f.Status == Fail {
			word = "FAIL"
		}
		fmt.Fprintf(&b, "%-4s  %-18s  %s\n", word, f.Check, f.Found)
		if f.Fix != "" {
			fmt.Fprintf(&b, "%-26sfix: %s\n", "", f.Fix)
		}
	}
	fmt.Fprintf(&b, "\n%d ok, %d warned, %d failed, %d skipped\n", r.count(OK), r.count(Warn), r.count(Fail), r.count(Skip))
	_, err := io.WriteString(w, b.String())
	return err
}

// writeJSON writes an array of the findings.
func (r report) writeJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}
