// Package leaks has the tests of a package fail where a goroutine outlives them.
package leaks

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

// Main is what a package's TestMain does: it runs the tests and ends the process.
func Main(m *testing.M) {
	code := m.Run()
	if err := Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// Find is an error that shows goroutines which are still there after a while: goleak itself waits for less than half a second, which what is
// about to end may need on a busy machine.
func Find() error {
	for end := time.Now().Add(eventually.Soon); ; {
		if err := goleak.Find(); err == nil || time.Now().After(end) {
			return err
		}
	}
}
