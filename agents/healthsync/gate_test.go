package healthsync

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/agents/passing"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// The gate's name is one in a network namespace, so one test tells its whole story.
func TestTheHealthCheckWaitsUntilTheTaskIsInTheMesh(t *testing.T) {
	t.Parallel()
	testenv.Alone(t, mesh.ContainerHealthSync)
	probe := func(timeout string) error {
		return passing.Run(t.Context(), nil, []string{"-timeout", timeout}, io.Discard, io.Discard)
	}
	if err := probe("250ms"); err == nil || !strings.Contains(err.Error(), "the task is not in the mesh") {
		t.Errorf("without health-sync: %v", err)
	}
	early := make(chan error, 1)
	go func() { early <- probe("20s") }() // it waits for health-sync, too
	g, err := newGate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	go g.serve()
	if err := probe("250ms"); err == nil {
		t.Error("let through before the task passed")
	}
	g.passed()
	g.passed()
	begin := time.Now()
	if err := <-early; err != nil {
		t.Errorf("not let through: %v", err)
	}
	if waited := time.Since(begin); waited < settledAfter-100*time.Millisecond {
		t.Errorf("let through %s after the task passed, want %s at least", waited, settledAfter)
	}

	// From then on ECS knows: a check stays, so that ECS asks seldom.
	stays := func(hold, timeout string) error {
		return passing.Run(t.Context(), nil, []string{"-timeout", timeout, "-hold", hold}, io.Discard, io.Discard)
	}
	begin = time.Now()
	if err := stays("300ms", "20s"); err != nil || time.Since(begin) < 300*time.Millisecond {
		t.Errorf("let through a second time after %s: %v", time.Since(begin), err)
	}
	begin = time.Now()
	if err := stays("1h", "1s"); err != nil || time.Since(begin) < time.Second {
		t.Errorf("asked to stay for longer than it may: %v after %s", err, time.Since(begin))
	}
	gone := make(chan error, 1)
	go func() { gone <- stays("1h", "5s") }()
	time.Sleep(200 * time.Millisecond) // it is there by now, or comes too late: both end alike
	if err := g.close(); err != nil {
		t.Error(err)
	}
	if err := <-gone; err == nil || !strings.Contains(err.Error(), "the task is not in the mesh") {
		t.Errorf("after the end of health-sync: %v", err)
	}
}
