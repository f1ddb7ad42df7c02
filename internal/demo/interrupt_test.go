package demo_test

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/world"
)

// repo is the repository's root, seen from this folder.
const repo = "../.."

// endLimit is how long a demo may take to get to a moment, and then to end.
const endLimit = 3 * time.Minute

func TestAnInterruptedDemoLeavesNothing(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	for name, folder := range map[string]string{"demo": "./internal/demo/cmd/demo", "terraform-provider-consulecs": "."} {
		build := exec.Command("go", "build", "-o", filepath.Join(bin, name), folder)
		build.Dir = repo
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", folder, err, out)
		}
	}
	for name, m := range map[string]moment{
		"start":    {line: "── a1."},
		"emulator": {line: "── a1.", after: 500 * time.Millisecond},
		"consul":   {line: "── a1.", after: 1500 * time.Millisecond},
		"apply":    {line: "Creating..."},
		"rolling":  {line: "Modifying..."},
		"destroy":  {line: "Destroying..."},
		"killed":   {line: "Creating...", signal: syscall.SIGKILL},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &run{bin: bin, name: "consulecs-demo-" + name, dir: filepath.Join(t.TempDir(), ".demo"), tmp: t.TempDir()}
			r.interrupt(t, m)
			down := r.command("-down")
			if out, err := down.CombinedOutput(); err != nil {
				t.Fatalf("demo -down: %v\n%s", err, out)
			}
			r.leftNothing(t, m.signal == syscall.SIGKILL)
		})
	}
}

// moment is when a demo is interrupted, and how.
type moment struct {
	line   string         // of the output
	after  time.Duration  // since the line
	signal syscall.Signal // to the whole process group, as a terminal sends it; 0 = Ctrl-C's
}

// run is one demo with a world of its own.
type run struct {
	bin, name string
	dir, tmp  string // of its state; of temporary files, its children's too
}

func (r *run) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(r.bin, "demo"), append([]string{"-name", r.name, "-dir", r.dir, "-bin", r.bin, "-examples", "examples/local"}, args...)...)
	cmd.Dir = repo
	cmd.Env = append(os.Environ(), "TMPDIR="+r.tmp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a shell starts it: what the terminal sends reaches its whole group
	return cmd
}

// interrupt starts the demo, sends it the moment's signal, and waits for its end.
func (r *run) interrupt(t *testing.T, m moment) {
	t.Helper()
	signal := cmp.Or(m.signal, syscall.SIGINT)
	cmd := r.command()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(endLimit, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }) // an error: it has just ended
	var said strings.Builder
	var sent time.Time
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if sent.IsZero() && strings.Contains(lines.Text(), m.line) {
			time.Sleep(m.after)
			sent = time.Now()
			if err := syscall.Kill(-cmd.Process.Pid, signal); err != nil {
				t.Error(err)
			}
		}
	}
	err = cmd.Wait()
	limit.Stop()
	var exit *exec.ExitError
	if sent.IsZero() || !errors.As(err, &exit) {
		t.Fatalf("the demo ended with %v, signal sent: %t, and said\n%s%s", err, !sent.IsZero(), said.String(), complaint.String())
	}
	if signal != syscall.SIGKILL && !strings.Contains(complaint.String(), "demo: step ") {
		t.Errorf("it does not say where it was: %s", complaint.String())
	}
	t.Logf("ended %s after the signal: %v", time.Since(sent).Round(time.Millisecond), err)
}

// leftNothing looks for everything that a demo makes. Terraform's own sockets stay when it is killed.
func (r *run) leftNothing(t *testing.T, killed bool) {
	t.Helper()
	left, err := world.Leftovers(t.Context(), r.name)
	if err != nil || len(left) > 0 {
		t.Errorf("on Docker: %v (%v)", left, err)
	}
	if _, err := os.Stat(r.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder %s is left (%v)", r.dir, err)
	}
	files, err := os.ReadDir(r.tmp)
	if err != nil {
		t.Error(err)
	}
	for _, f := range files {
		if !killed || !strings.HasPrefix(f.Name(), "plugin") {
			t.Errorf("the temporary file %s is left", f.Name())
		}
	}
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range environments {
		environment, err := os.ReadFile(name)
		if err == nil && bytes.Contains(environment, []byte("TMPDIR="+r.tmp+"\x00")) { // an error: it has ended, or is none of ours
			arguments, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
			t.Errorf("the process %s is left: %q", name, arguments)
		}
	}
}
