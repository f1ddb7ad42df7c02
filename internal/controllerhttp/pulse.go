package controllerhttp

import (
	"fmt"
	"sync/atomic"
	"time"
)

// Pulse tells whether a loop moves. A loop beats at each turn; one that has not for longer than the limit is stuck.
type Pulse struct {
	limit time.Duration
	began time.Time // times since it are monotonic: a clock that jumps stops no heart
	last  atomic.Int64
}

// NewPulse begins with a beat.
func NewPulse(limit time.Duration) *Pulse { return &Pulse{limit: limit, began: time.Now()} }

// Beat notes that the loop has moved.
func (p *Pulse) Beat() { p.last.Store(int64(time.Since(p.began))) }

// Health is nil while the last beat is not longer ago than the limit.
func (p *Pulse) Health() error {
	if silence := time.Since(p.began) - time.Duration(p.last.Load()); silence > p.limit {
		return fmt.Errorf("the controller's loop has not moved for %s, longer than %s", silence.Round(time.Second), p.limit)
	}
	return nil
}
