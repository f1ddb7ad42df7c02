package dnsproxy_test

import (
	"testing"

	"go.uber.org/goleak"
)

// No stream, connection or wait outlives what it was for.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
