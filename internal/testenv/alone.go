package testenv

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
)

// aloneLimit bounds how long a test waits for its turn.
const aloneLimit = 5 * time.Minute

// Alone lets one test on this machine at a time go on, of all that ask for the same name, until the test ends. Tests of
// different packages run at the same time, and some need what there is only one of.
func Alone(t testing.TB, name string) {
	t.Helper()
	for deadline := time.Now().Add(aloneLimit); ; time.Sleep(20 * time.Millisecond) {
		held, err := net.Listen("unix", "@consulecs-test-"+name)
		switch {
		case err == nil:
			t.Cleanup(func() { held.Close() })
			return
		case !errors.Is(err, syscall.EADDRINUSE):
			t.Fatal(err)
		case time.Now().After(deadline):
			t.Fatalf("test %s: not its turn within %s", name, aloneLimit)
		}
	}
}
