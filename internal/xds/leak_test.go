package xds_test

import (
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/leaks"
)

// No stream, connection or wait outlives what it was for.
func TestMain(m *testing.M) { leaks.Main(m) }
