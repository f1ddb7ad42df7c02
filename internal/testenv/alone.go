package testenv

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

// aloneLimit bounds how long a test waits for its turn.
const aloneLimit = 5 * time.Minute

// Alone lets one test on this machine at a time go on, of all that ask for the same name, until the test ends. Tests of
// different packages run at the same time, and some need what there is only one of.
func Alone(t testing.TB, name string) {
	t.Helper()
	eventually.Nil(t, "the turn of test "+name, aloneLimit, func() error {
		held, err := net.Listen("unix", "@consulecs-test-"+name)
		switch {
		case err == nil:
			t.Cleanup(func() { held.Close() })
		case !errors.Is(err, syscall.EADDRINUSE):
			err = eventually.Never{Err: err}
		}
		return err
	})
}
