package problem

import (
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// nearPercent is how much of the longer of two names may differ for the one to be taken for the other, misspelt.
const nearPercent = 34

// AddUnknownKey says that a document has a key which means nothing there: with the one that was probably meant, or with all.
func (l *List) AddUnknownKey(at Path, key string, known []string) {
	l.Add(at, "%s", UnknownKey(key, known))
}

// UnknownKey is the message of AddUnknownKey.
func UnknownKey(key string, known []string) string {
	if near, ok := Nearest(key, known); ok {
		return "unknown key, want " + near
	}
	return "unknown key, want one of " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}

// Nearest is the known name that a misspelt one was probably meant for. Neither case nor underscores count: documents spell the
// same names in camel case and in snake case.
func Nearest(name string, known []string) (near string, ok bool) {
	plain := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "_", "") }
	best := 0
	for _, candidate := range slices.Sorted(slices.Values(known)) {
		a, b := plain(name), plain(candidate)
		distance := levenshtein.Distance(a, b, nil)
		if distance*100 <= nearPercent*max(len(a), len(b)) && (near == "" || distance < best) {
			near, best = candidate, distance
		}
	}
	return near, near != ""
}
