package dataplane_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMemory prints what the agent holds when idle, Envoy not counted. It measures the program that ships: a test program
// has far more in it.
func TestMemory(t *testing.T) {
	t.Parallel()
	const limit = 20 << 10 // KiB
	program := filepath.Join(t.TempDir(), "consulecs-agent")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "github.com/consulecs/terraform-provider-consulecs/agents")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	k := readyTask(t, sharedConsul(t), func(k *task) { k.program = []string{program, "dataplane"} })
	time.Sleep(2 * time.Second) // idle
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", k.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	kib := func(field string) (n int) {
		_, rest, _ := strings.Cut(string(status), field+":")
		if _, err := fmt.Sscan(rest, &n); err != nil {
			t.Fatalf("%s: %v", field, err)
		}
		return n
	}
	t.Logf("resident memory %d KiB, of which the program's file %d", kib("VmRSS"), kib("RssFile"))
	if kib("VmRSS") > limit {
		t.Errorf("resident memory %d KiB, want less than %d", kib("VmRSS"), limit)
	}
}
