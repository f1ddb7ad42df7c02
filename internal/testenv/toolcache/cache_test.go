package toolcache

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/toolchain"
)

func newCache(t *testing.T) Cache {
	t.Helper()
	pins, err := toolchain.Load()
	if err != nil {
		t.Fatal(err)
	}
	return Cache{Root: t.TempDir(), Pins: pins}
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFillLeavesACompleteEntryOrNone(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	broken := errors.New("the network is gone")
	err := c.fill("tool", "1.0", func(tmp string) error {
		writeFile(t, filepath.Join(tmp, "half"), "…")
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatalf("got %v, want the build's error", err)
	}
	if exists(c.dir("tool", "1.0")) {
		t.Error("a build that failed left an entry")
	}
	if left, _ := os.ReadDir(c.scratch()); len(left) > 0 {
		t.Errorf("a build that failed left %v", left)
	}
	for _, content := range []string{"first", "second"} {
		if err := c.fill("tool", "1.0", func(tmp string) error {
			writeFile(t, filepath.Join(tmp, "binary"), content)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := os.ReadFile(filepath.Join(c.dir("tool", "1.0"), "binary")); string(got) != "first" {
		t.Errorf("entry holds %q, want what the first build made", got)
	}
}

func TestADamagedEntryIsMadeAnew(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		harm    func(entry string) error
		damaged bool
	}{
		"a file is empty":        {func(entry string) error { return os.Truncate(filepath.Join(entry, "bin", "tool"), 0) }, true},
		"a file is gone":         {func(entry string) error { return os.Remove(filepath.Join(entry, "bin", "tool")) }, true},
		"a folder is gone":       {func(entry string) error { return os.RemoveAll(filepath.Join(entry, "bin")) }, true},
		"the inventory is empty": {func(entry string) error { return os.Truncate(filepath.Join(entry, inventoryName), 0) }, true},
		"no inventory":           {func(entry string) error { return os.Remove(filepath.Join(entry, inventoryName)) }, false},
		"what Python renews":     {func(entry string) error { return os.RemoveAll(filepath.Join(entry, "__pycache__")) }, false},
		"a file more":            {func(entry string) error { return os.WriteFile(filepath.Join(entry, "more"), nil, 0o644) }, false},
		"nothing":                {func(string) error { return nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, made := newCache(t), 0
			fill := func() {
				if err := c.fill("tool", "1.0", func(tmp string) error {
					made++
					writeFile(t, filepath.Join(tmp, "bin", "tool"), "…")
					writeFile(t, filepath.Join(tmp, "__pycache__", "a.pyc"), "…")
					return os.Symlink("nowhere", filepath.Join(tmp, "link"))
				}); err != nil {
					t.Fatal(err)
				}
			}
			fill()
			if err := test.harm(c.dir("tool", "1.0")); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := c.dropDamaged(&out); err != nil {
				t.Fatal(err)
			}
			fill()
			if again := made == 2; again != test.damaged || strings.Contains(out.String(), "is damaged and made anew: ") != test.damaged {
				t.Errorf("made anew: %v, want %v; told %q", again, test.damaged, &out)
			}
		})
	}
}

func TestFindForgetsToolsThatAreGone(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	file := func(name string) string { return filepath.Join(c.Root, name) }
	for _, name := range []string{"consul", "envoy", "moto_server", "venv/bin/python"} {
		writeFile(t, file(name), "")
	}
	saved := Paths{Consul: file("consul"), Envoy: file("envoy"), MotoServer: file("moto_server"), Terraform: file("terraform"), DockerHost: "unix:///stale"}
	if err := c.save(saved); err != nil {
		t.Fatal(err)
	}
	want := Paths{Consul: file("consul"), Envoy: file("envoy"), MotoServer: file("moto_server")}
	if diff := cmp.Diff(want, c.recorded()); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
	if err := os.Remove(file("venv/bin/python")); err != nil {
		t.Fatal(err)
	}
	found, err := c.Find()
	if found.MotoServer != "" {
		t.Error("moto is found without the Python it runs on")
	}
	for _, part := range []string{"moto", "LocalStack", "Terraform or OpenTofu", "hint: run make setup"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v does not name %q", err, part)
		}
	}
}

func TestAnotherClonesPinsHaveTheirOwnRecord(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	other := c
	other.Pins.Consul.Version = "9.9.9"
	if c.record() == other.record() {
		t.Error("two sets of versions share a record")
	}
}

func TestLockLetsOneSetUpWorkAtATime(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	var out bytes.Buffer
	unlock, err := c.lock(t.Context(), &out)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := c.lock(short, &out); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second lock: %v, want it to wait until the deadline", err)
	}
	if got := out.String(); got != "waiting for another set-up to end\n" {
		t.Errorf("told %q", got)
	}
	unlock()
	again, err := c.lock(t.Context(), &out)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestAFailedStepHoldsUpOnlyWhatNeedsIt(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	broken, ran := errors.New("no disk"), map[string]bool{}
	plain := func(name string, after ...string) step {
		return step{name: name, after: after, do: func(context.Context) (string, error) {
			ran[name] = true
			return "made", nil
		}}
	}
	err := runLanes(t.Context(), &out, []step{
		{name: "daemon", do: func(context.Context) (string, error) { return "", broken }},
		plain("moto"),
		plain("image", "daemon"),
		plain("app", "image"),
	})
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "daemon: ") {
		t.Errorf("got %v, want the daemon's error under its name", err)
	}
	if diff := cmp.Diff(map[string]bool{"moto": true}, ran); diff != "" {
		t.Errorf("steps that ran (-want +got):\n%s", diff)
	}
	for _, line := range []string{"daemon failed", "moto made", "image left out: needs daemon", "app left out: needs image"} {
		if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), line) {
			t.Errorf("the report lacks %q:\n%s", line, out.String())
		}
	}
}

func TestAnInterruptedLaneStartsNothingMore(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := runLanes(ctx, &bytes.Buffer{}, []step{
		{name: "first", do: func(context.Context) (string, error) { cancel(); return "made", nil }},
		{name: "second", do: func(context.Context) (string, error) { return "", errors.New("it ran") }},
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAFailedCommandTellsItsLastLines(t *testing.T) {
	t.Parallel()
	_, err := command{}.run(t.Context(), "sh", "-c", "for i in $(seq 40); do echo line $i; done; exit 3")
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.HasSuffix(err.Error(), "line 40") || strings.Contains(err.Error(), "line 20\n") {
		t.Errorf("got %v, want the exit status and the last 20 lines", err)
	}
}

func TestACancelledCommandTakesItsChildrenAlong(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := command{}.run(ctx, "sh", "-c", "sleep 30 & wait; sleep 30")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
	if took := time.Since(start); took > 4*time.Second { // a surviving child would hold the output open until WaitDelay
		t.Errorf("took %s", took)
	}
}
