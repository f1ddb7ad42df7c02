package procs

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

func TestMemoryAndTimeAreRead(t *testing.T) {
	t.Parallel()
	for of, want := range map[string]int64{"VmRSS": 17 << 10, "VmHWM": 900 << 10} {
		if n, err := memoryIn("Name:\tx\nVmHWM:\t  900 kB\nVmRSS:\t   17 kB\nRssAnon:\t 5 kB\n", of); n != want || err != nil {
			t.Errorf("%s: got %d, %v, want %d", of, n, err, want)
		}
	}
	if _, err := memoryIn("Name:\tkthreadd\n", "VmRSS"); err == nil {
		t.Error("a process without memory has some")
	}
	if d, err := used("7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 25 75 0 0 20 0"); d != time.Second || err != nil {
		t.Errorf("got %s, %v, want 1 s", d, err)
	}
	if _, err := used("7 (a) S 1 2"); err == nil {
		t.Error("a stat without times was read")
	}
}

func TestTheUsageOfAControlGroupIsFoundInBothVersions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		member, file, text string
		want               time.Duration
	}{
		"version 1":         {"4:memory:/docker/1f\n2:cpuacct:/docker/1f\n1:cpu:/docker/1f\n0::/\n", "/sys/fs/cgroup/cpuacct/docker/1f/cpuacct.usage", "1500000\n", 1500 * time.Microsecond},
		"version 1, joined": {"2:cpu,cpuacct:/docker/1f\n", "/sys/fs/cgroup/cpu,cpuacct/docker/1f/cpuacct.usage", "7\n", 7},
		"version 2":         {"0::/system.slice/docker-1f.scope\n", "/sys/fs/cgroup/system.slice/docker-1f.scope/cpu.stat", "nr_periods 0\nusage_usec 42\nuser_usec 40\n", 42 * time.Microsecond},
	} {
		file, read, err := usageFile(c.member)
		if err != nil || file != c.file {
			t.Errorf("%s: got %s, %v, want %s", name, file, err, c.file)
			continue
		}
		if got, err := read([]byte(c.text)); got != c.want || err != nil {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, c.want)
		}
	}
	if _, _, err := usageFile("4:memory:/\n"); err == nil {
		t.Error("control groups without processor time were accepted")
	}
}

func TestTheOwnProcessIsSeen(t *testing.T) {
	t.Parallel()
	if n, err := Free(); n < 1<<20 || err != nil {
		t.Errorf("the machine has %d bytes of memory left, %v", n, err)
	}
	if n, err := Resident(os.Getpid()); n < 1<<20 || err != nil {
		t.Errorf("memory %d, %v", n, err)
	}
	if now, err := Resident(os.Getpid()); err != nil {
		t.Error(err)
	} else if peak, err := Peak(os.Getpid()); peak < now/2 || err != nil {
		t.Errorf("peak %d of a process of %d, %v", peak, now, err)
	}
	child := exec.CommandContext(t.Context(), "sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if found, err := Children(os.Getpid()); !slices.Contains(found, child.Process.Pid) || err != nil {
		t.Errorf("the children are %v, %v, want %d among them", found, err, child.Process.Pid)
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	if found, err := Running(os.Args[0]); !slices.Contains(found, os.Getpid()) || err != nil {
		t.Errorf("%s runs as %v, %v", os.Args[0], found, err)
	}
	if found, err := Running("/no/such/program"); len(found) > 0 || err != nil {
		t.Errorf("a program that is none runs as %v, %v", found, err)
	}
	if _, err := CPU(os.Getpid()); err != nil {
		t.Error(err)
	}
	if _, err := GroupCPU(os.Getpid()); err != nil {
		t.Error(err)
	}
	if found, err := In("no container is called this"); err == nil {
		t.Errorf("found %v", found)
	}
}
