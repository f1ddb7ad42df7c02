// Package footprint makes a program that has started and will now mostly wait small in memory.
package footprint

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

// heapGrowth is how much garbage, in percent of what is in use, may pile up before it is collected. Go's own 100 keeps as
// much again, and 4 MB at the least, which an agent that makes a little garbage a second would fill and hold for ever.
const heapGrowth = 25

// Settle is for an agent that mostly waits. It lets the start pass, makes the program small, and keeps it so until ctx ends.
func Settle(ctx context.Context, after time.Duration) error {
	if !sleep.For(ctx, after) {
		return nil
	}
	debug.SetGCPercent(heapGrowth)
	if err := Trim(); err != nil {
		return err
	}
	return stay(ctx)
}

// stay drops the pages of the program's file after each collection of garbage: for that the collector has touched some
// megabytes of tables that nothing else needs.
func stay(ctx context.Context) error {
	collected := make(chan struct{}, 1)
	tellAfterCollection(collected)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-collected:
		}
		if err := dropProgram(); err != nil {
			return err
		}
		tellAfterCollection(collected)
	}
}

// tellAfterCollection sends once, when garbage has been collected: among it is something that is made for that.
func tellAfterCollection(collected chan<- struct{}) {
	garbage := new([64]byte) // by itself in memory, which smaller things are not
	runtime.AddCleanup(garbage, func(c chan<- struct{}) { c <- struct{}{} }, collected)
}

// Trim gives back what only the start needed: garbage of the heap, and the pages of the program's own file, most of which
// initialization has touched once and for all. Those count as resident until memory is short, although the kernel has them
// in its cache anyway and maps them again, without reading a disk, when they are used. It costs some hundred page faults.
func Trim() error {
	debug.FreeOSMemory()
	return dropProgram()
}

// dropProgram gives back the pages of the program's own file.
func dropProgram() error {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("trim memory: %w", err)
	}
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("trim memory: %w", err)
	}
	defer smaps.Close()
	for _, m := range unchanged(smaps, exe) {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("trim memory: madvise %x-%x: %w", m.start, m.end, errno)
		}
	}
	return nil
}

// mapping is a range of addresses.
type mapping struct{ start, end uintptr }

// unchanged lists the read-only mappings of the file exe that are as they are in the file. One that was written before it
// became read-only, as a dynamic linker does with relocations, would lose that.
func unchanged(smaps io.Reader, exe string) []mapping {
	var found []mapping
	var candidate *mapping
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		f := strings.Fields(lines.Text())
		switch {
		case len(f) == 6 && strings.Contains(f[0], "-"): // a mapping: its range, permissions, offset, device, inode, file
			candidate = nil
			var m mapping
			if _, err := fmt.Sscanf(f[0], "%x-%x", &m.start, &m.end); err == nil && f[5] == exe && !strings.Contains(f[1], "w") {
				candidate = &m
			}
		case len(f) == 5 && strings.Contains(f[0], "-"): // a mapping of no file
			candidate = nil
		case candidate != nil && len(f) == 3 && f[0] == "Anonymous:" && f[1] == "0":
			found = append(found, *candidate)
		}
	}
	return found
}
