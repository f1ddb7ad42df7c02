package process

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
)

// ExitError says how a child ended that did not end with exit code 0.
type ExitError struct {
	Name      string
	Code      int            // of a child that a signal ended: 128 and the signal's number
	Signal    syscall.Signal // 0 unless a signal ended it
	LastLines []string       // what it wrote to stderr last
}

// Error names the exit and the last lines.
func (e *ExitError) Error() string {
	how := fmt.Sprintf("exit code %d", e.Code)
	if e.Signal != 0 {
		how = "killed by signal: " + e.Signal.String()
	}
	if len(e.LastLines) == 0 {
		return e.Name + ": " + how
	}
	return e.Name + ": " + how + ", last lines:\n\t" + strings.Join(e.LastLines, "\n\t")
}

// ExitCode is the code that a program should exit with that ends because of this child.
func (e *ExitError) ExitCode() int { return e.Code }

// How much of the output is kept.
const (
	keptLines = 10
	keptBytes = 1024 // of a line
)

// tail passes what is written to it on to next and keeps the last lines. What next does not take is lost: a child must
// not stop because nobody can read its log.
type tail struct {
	next io.Writer // nil: output is only kept

	mu   sync.Mutex
	last []string
	part []byte // the line that has not ended yet
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	if t.next != nil {
		_, _ = t.next.Write(p)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for rest := p; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte{'\n'})
		t.part = append(t.part, line[:min(len(line), keptBytes-len(t.part))]...)
		rest = after
		if ended {
			t.keep()
		}
	}
	return len(p), nil
}

func (t *tail) keep() {
	if len(t.part) > 0 {
		t.last = append(t.last, string(t.part))
		t.last = t.last[max(0, len(t.last)-keptLines):]
	}
	t.part = t.part[:0]
}

func (t *tail) lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := append([]string(nil), t.last...)
	if len(t.part) > 0 {
		lines = append(lines, string(t.part))
	}
	return lines
}
