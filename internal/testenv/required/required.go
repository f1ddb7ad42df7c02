// Package required holds the one rule for tests of what a machine may lack: they are skipped there, and fail where
// REQUIRE_REAL is set, as make test sets it.
package required

import (
	"fmt"
	"os"
	"testing"
)

// Missing ends a test that lacks something real. The reason says what, and how it can be had.
func Missing(t testing.TB, reason ...any) {
	t.Helper()
	if os.Getenv("REQUIRE_REAL") != "" {
		t.Fatal(reason...)
	}
	t.Skip(reason...)
}

// Tool is the path of a tool as the tool cache found it. The test ends where it is "", err saying why.
func Tool(t testing.TB, name, path string, err error) string {
	t.Helper()
	if path == "" {
		Missing(t, fmt.Sprintf("%s is not there: %v", name, err))
	}
	return path
}
