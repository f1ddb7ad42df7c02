// Package procs reads what the kernel tells of processes and of the containers they are in: memory and processor time.
package procs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the kernel's unit of a process's times in /proc (USER_HZ).
const tick = 10 * time.Millisecond

// Process is one that runs.
type Process struct {
	PID  int
	Args []string
}

// In lists the processes of a container, by what its control groups are called after. Which are in it may change at once.
func In(dockerID string) ([]Process, error) {
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return nil, err
	}
	var found []Process
	for _, group := range groups {
		member, err := os.ReadFile(group)
		if err != nil || !strings.Contains(string(member), dockerID) {
			continue // an error: it has ended
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(group)))
		if err != nil {
			return nil, err
		}
		args, err := os.ReadFile(file(pid, "cmdline"))
		if err != nil || len(args) == 0 {
			continue
		}
		found = append(found, Process{pid, strings.Split(strings.TrimSuffix(string(args), "\x00"), "\x00")})
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("container %s has no process", dockerID)
	}
	return found, nil
}

// Ended reports whether a process has ended; one that waits to be reaped has.
func Ended(pid int) bool {
	stat, err := os.ReadFile(file(pid, "stat"))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// Running lists the processes that were started by a program's path. There may be none.
func Running(program string) ([]int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var found []int
	for _, name := range files {
		args, err := os.ReadFile(name)
		if first, _, _ := strings.Cut(string(args), "\x00"); err != nil || first != program {
			continue // an error: it has ended
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			return nil, err
		}
		found = append(found, pid)
	}
	return found, nil
}

// Children are the processes that a process has started and that have not been reaped yet.
func Children(pid int) ([]int, error) {
	files, err := filepath.Glob(file(pid, "task/*/children")) // each thread has its own
	if err != nil {
		return nil, err
	}
	var found []int
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended, and its children are another's
		}
		for text := range strings.FieldsSeq(string(data)) {
			child, err := strconv.Atoi(text)
			if err != nil {
				return nil, err
			}
			found = append(found, child)
		}
	}
	return found, nil
}

// Resident is a process's resident memory in bytes.
func Resident(pid int) (int64, error) { return memory(pid, "VmRSS") }

// ForgetPeak has Peak begin anew, with what is resident now.
func ForgetPeak(pid int) error { return os.WriteFile(file(pid, "clear_refs"), []byte("5"), 0) }

// Peak is the most that a process's resident memory has been so far, in bytes.
func Peak(pid int) (int64, error) { return memory(pid, "VmHWM") }

// Free is how much memory of the machine could be taken without anything else being put out, in bytes.
func Free() (int64, error) {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	return memoryIn(string(info), "MemAvailable")
}

func memory(pid int, of string) (int64, error) {
	status, err := os.ReadFile(file(pid, "status"))
	if err != nil {
		return 0, err
	}
	n, err := memoryIn(string(status), of)
	if err != nil {
		return 0, fmt.Errorf("process %d: %w", pid, err)
	}
	return n, nil
}

// memoryIn reads a line of a process's status.
func memoryIn(status, of string) (int64, error) {
	_, rest, found := strings.Cut(status, of+":")
	if !found {
		return 0, fmt.Errorf("no %s", of)
	}
	kib, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, err := strconv.ParseInt(kib, 10, 64)
	return n * 1024, err
}

// CPU is the processor time that a process has used so far, its ended children not counted.
func CPU(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(file(pid, "stat"))
	if err != nil {
		return 0, err
	}
	d, err := used(string(stat))
	if err != nil {
		return 0, fmt.Errorf("process %d: %w", pid, err)
	}
	return d, nil
}

// used reads user and system time of a process's stat. The program's name, in brackets, may hold anything.
func used(stat string) (time.Duration, error) {
	const user, system = 11, 12 // counted from behind the name
	f := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	if len(f) <= system {
		return 0, fmt.Errorf("%d fields in its stat", len(f))
	}
	var sum time.Duration
	for _, text := range []string{f[user], f[system]} {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// GroupCPU is the processor time that the control group of a process has used so far: that of its container, with
// everything that has ever run in it.
func GroupCPU(pid int) (time.Duration, error) {
	member, err := os.ReadFile(file(pid, "cgroup"))
	if err != nil {
		return 0, err
	}
	name, read, err := usageFile(string(member))
	if err != nil {
		return 0, fmt.Errorf("control groups of process %d: %w", pid, err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	return read(text)
}

// usageFile says where the time of a control group is written, and how to read it. Version 1 has a file for it, version 2
// a line in one.
func usageFile(member string) (name string, read func([]byte) (time.Duration, error), err error) {
	unified := ""
	for line := range strings.Lines(member) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(f) != 3:
		case f[0] == "0":
			unified = f[2]
		case strings.Contains(","+f[1]+",", ",cpuacct,"):
			return filepath.Join("/sys/fs/cgroup", f[1], f[2], "cpuacct.usage"), nanoseconds, nil
		}
	}
	if unified == "" {
		return "", nil, errors.New("none that counts processor time")
	}
	return filepath.Join("/sys/fs/cgroup", unified, "cpu.stat"), microseconds, nil
}

func nanoseconds(text []byte) (time.Duration, error) {
	n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	return time.Duration(n), err
}

func microseconds(text []byte) (time.Duration, error) {
	for line := range strings.Lines(string(text)) {
		if us, found := strings.CutPrefix(line, "usage_usec "); found {
			n, err := strconv.ParseInt(strings.TrimSpace(us), 10, 64)
			return time.Duration(n) * time.Microsecond, err
		}
	}
	return 0, errors.New("no usage_usec")
}

func file(pid int, name string) string { return filepath.Join("/proc", strconv.Itoa(pid), name) }
