// Package eventbus is the part of EventBridge that stands between ECS and a queue: the rules that the emulator's EventBridge holds
// are obeyed, and what they let through is delivered at least once and in no order. What a queue's policy forbids is dropped.
package eventbus

import (
	"container/heap"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/taskevent"
)

const (
	maxWaiting   = 100_000 // deliveries; beyond that events are lost, as EventBridge too gives up in the end
	roundTimeout = 30 * time.Second
	flushTimeout = 2 * time.Second
	gatherTime   = 10 * time.Millisecond // events of one moment share a look at the rules
	firstRetry   = 200 * time.Millisecond
	lastRetry    = 5 * time.Second
)

// Disorder is what makes deliveries other than a list of what happened.
type Disorder struct {
	Duplicates        float64 `json:"duplicates"`        // the share of deliveries that are made twice, 0 to 1
	DelayMilliseconds int     `json:"delayMilliseconds"` // each is late by a random time up to this one, so that they overtake each other
}

// DefaultDisorder is modest: one delivery in twenty comes twice, and a delivery takes a quarter of a second at most.
func DefaultDisorder() Disorder { return Disorder{Duplicates: 0.05, DelayMilliseconds: 250} }

// Check says what is wrong with a disorder.
func (d Disorder) Check() error {
	if d.Duplicates < 0 || d.Duplicates > 1 {
		return fmt.Errorf("duplicates %v: want a share from 0 to 1", d.Duplicates)
	}
	if d.DelayMilliseconds < 0 || d.DelayMilliseconds > 60_000 {
		return fmt.Errorf("delayMilliseconds %d: want 0 to 60000", d.DelayMilliseconds)
	}
	return nil
}

// Stats counts what became of events.
type Stats struct {
	Events     int `json:"events"`     // that ECS told of
	Delivered  int `json:"delivered"`  // messages in queues, duplicates among them
	Duplicates int `json:"duplicates"` // events that were put on the bus twice
	Refused    int `json:"refused"`    // deliveries that a queue's policy, its absence or the target's kind forbade
	Lost       int `json:"lost"`       // events that waited in vain for the emulator
	Waiting    int `json:"waiting"`    // deliveries still to be made
}

// Config is what a bus has to know.
type Config struct {
	EmulatorURL string
	Account     names.Account
	Disorder    Disorder
	Logger      hclog.Logger
}

// Bus takes events and delivers them in the background.
type Bus struct {
	directory
	log     hclog.Logger
	wake    chan struct{}
	stopped chan struct{} // closed once run has returned
	cancel  context.CancelFunc

	mu       sync.Mutex
	disorder Disorder
	waiting  queue
	pending  int // waiting, and under way
	sequence int
	failing  bool // the emulator did not answer lately
	closing  bool // what is due later is due now
	stats    Stats

	// Only run uses these.
	known   []rule
	knownAt time.Time
	told    map[string]bool // problems that were logged
}

// New starts a bus. Close ends it.
func New(cfg Config) *Bus {
	ctx, cancel := context.WithCancel(context.Background())
	b := &Bus{
		directory: newDirectory(cfg), log: cfg.Logger, disorder: cfg.Disorder, told: map[string]bool{},
		wake: make(chan struct{}, 1), stopped: make(chan struct{}), cancel: cancel,
	}
	go b.run(ctx)
	return b
}

// SetDisorder changes how events are delivered that happen from now on.
func (b *Bus) SetDisorder(d Disorder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.disorder = d
}

// Stats is a copy of the counts.
func (b *Bus) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	stats := b.stats
	stats.Waiting = b.pending
	return stats
}

// Publish tells of the task as it is at now. It never blocks.
func (b *Bus) Publish(task ecstypes.Task, now time.Time) {
	text, err := taskevent.Marshal(task, b.account, now)
	var parsed any
	if err == nil {
		err = json.Unmarshal(text, &parsed)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stats.Events++
	if err != nil || len(b.waiting) >= maxWaiting {
		b.stats.Lost++
		b.log.Error("task event lost", "task_arn", aws.ToString(task.TaskArn), "waiting", len(b.waiting), "err", err)
		return
	}
	b.add(&delivery{text: string(text), event: parsed, at: time.Now()})
	if rand.Float64() < b.disorder.Duplicates {
		b.stats.Duplicates++
		b.add(&delivery{text: string(text), event: parsed, at: time.Now()})
	}
	b.signal()
}

// add makes a delivery wait for its time. The caller holds the lock.
func (b *Bus) add(d *delivery) {
	d.due = d.at
	if limit := b.disorder.DelayMilliseconds; limit > 0 {
		d.due = d.at.Add(rand.N(time.Duration(limit) * time.Millisecond))
	}
	b.sequence++
	d.sequence = b.sequence
	b.pending++
	heap.Push(&b.waiting, d)
}

func (b *Bus) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Close gives what still waits a moment to arrive, then ends the bus.
func (b *Bus) Close() {
	b.mu.Lock()
	b.closing = true
	b.signal()
	b.mu.Unlock()
	for deadline := time.Now().Add(flushTimeout); !b.quiet() && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	b.cancel()
	<-b.stopped
}

// quiet reports whether there is nothing to wait for: no delivery, or nobody who takes one.
func (b *Bus) quiet() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pending == 0 || b.failing
}

// run delivers what is due. What fails is due again after a pause, with all that came meanwhile.
func (b *Bus) run(ctx context.Context) {
	defer close(b.stopped)
	retry := firstRetry
	for {
		due, wait := b.due(time.Now())
		if len(due) > 0 {
			failed, err := b.deliver(ctx, due)
			b.settle(len(due), failed, err)
			wait = gatherTime
			if err == nil {
				retry = firstRetry
			} else if ctx.Err() == nil {
				b.log.Warn("task events retried", "deliveries", len(failed), "retry_in", retry, "err", err)
				wait = retry
				retry = min(2*retry, lastRetry)
			}
		}
		timer := time.NewTimer(wait)
		wake := b.wake
		if len(due) > 0 {
			wake = nil // the pause is kept
		}
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-wake:
			timer.Stop()
		}
	}
}

// due takes out the deliveries whose time has come, and says how long there is nothing to do otherwise.
func (b *Bus) due(now time.Time) ([]*delivery, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []*delivery
	for len(b.waiting) > 0 && (b.closing || !b.waiting[0].due.After(now)) {
		out = append(out, heap.Pop(&b.waiting).(*delivery))
	}
	if len(b.waiting) > 0 {
		return out, b.waiting[0].due.Sub(now)
	}
	return out, time.Hour
}

// settle counts off what was tried and puts back what failed.
func (b *Bus) settle(tried int, failed []*delivery, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failing = err != nil
	b.pending += len(failed) - tried
	for _, d := range failed {
		heap.Push(&b.waiting, d)
	}
}

// note changes the counts.
func (b *Bus) note(change func(*Stats)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.stats)
}
