package leaks_test

import (
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/leaks"
)

func TestWhatEndsLateIsNoLeak(t *testing.T) {
	go time.Sleep(2 * time.Second) // longer than goleak waits by itself
	if err := leaks.Find(); err != nil {
		t.Error(err)
	}
}
