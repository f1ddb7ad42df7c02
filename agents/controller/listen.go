package controller

import (
	"context"
	"sync"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/metrics"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskevent"
)

// batchesAtOnce is how many batches of events are worked on at the same time: ECS is asked about one while another is removed from
// Consul, and a single death does not wait for a thousand.
const batchesAtOnce = 2

const (
	firstListenPause = time.Second
	maxListenPause   = 30 * time.Second
)

// listen works on events until ctx ends. While the queue does not answer, full looks stand in for it, and the first of them
// begins at once.
func (k *keeper) listen(ctx context.Context) {
	var working sync.WaitGroup
	defer working.Wait()
	slots := make(chan struct{}, batchesAtOnce)
	pause := firstListenPause
	for {
		select {
		case slots <- struct{}{}: // before anything is received: what waits is the queue's, not ours
		case <-ctx.Done():
			return
		}
		messages, err := k.queue.Receive(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			k.log.Warn("events not received, will retry", "retry_in", pause, "err", err)
			k.lookIfDeaf()
			sleep.For(ctx, pause)
			<-slots
			pause = min(2*pause, maxListenPause)
			continue
		}
		pause = firstListenPause
		k.state.set(func(s *standing) { s.heard = time.Now() })
		working.Go(func() {
			defer func() { <-slots }()
			k.handle(ctx, messages)
		})
		k.measure(ctx)
	}
}

// lookIfDeaf begins a full look once events have not been heard of for long.
func (k *keeper) lookIfDeaf() {
	if time.Since(k.state.get().heard) >= deafAfter {
		k.lookNow()
	}
}

// handle removes what is left of the tasks that the messages tell of, and deletes the messages whose work is done. The others
// come again.
func (k *keeper) handle(ctx context.Context, messages []taskevent.Message) {
	for _, c := range k.clusters {
		byTask := map[string]taskevent.Message{}
		var ids []string
		for _, m := range messages {
			if m.Event.ClusterARN == c.arn {
				byTask[m.Event.TaskID] = m
				ids = append(ids, m.Event.TaskID)
			}
		}
		if len(ids) == 0 {
			continue
		}
		done, err := c.engine.Handle(ctx, ids)
		if err != nil && ctx.Err() == nil {
			k.log.Warn("events not all worked on, the rest comes again", "ecs_cluster", c.arn, "events", len(ids), "done", len(done), "err", err)
		}
		var finished []taskevent.Message
		for _, id := range done {
			finished = append(finished, byTask[id])
			k.counts.Lag(time.Since(byTask[id].Event.Time))
		}
		if err := k.queue.Done(ctx, finished); err != nil && ctx.Err() == nil {
			k.log.Warn("events that were worked on stay in the queue", "err", err)
		}
	}
}

// counted is the queue in the words of the metrics.
func (k *keeper) counted() metrics.Queue {
	s := k.queue.Stats()
	return metrics.Queue{
		Received: s.Received, Ignored: s.Ignored, Poison: s.Poison, Exhausted: s.Exhausted, Duplicates: s.Duplicates, Undeleted: s.Undeleted,
		Waiting: k.state.get().queued, Lag: s.Lag,
	}
}

// measure asks how deep the queue is, which it does once a minute at the most.
func (k *keeper) measure(ctx context.Context) {
	depth, err := k.queue.Depth(ctx)
	if err != nil {
		k.log.Debug("depth of the queue not known", "err", err)
		return
	}
	k.state.set(func(s *standing) { s.queued = depth.Waiting })
}
