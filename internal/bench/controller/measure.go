package controllerbench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/taskevent"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/procs"
)

const (
	oneLimit   = 3 * time.Minute
	manyLimit  = 12 * time.Minute
	quietAfter = time.Second            // without a write, before Consul is asked whether that was the last
	lookEvery  = 500 * time.Millisecond // at Raft's log
	probeEvery = 100 * time.Millisecond // of an unrelated registration
	mebibyte   = 1 << 20
)

// rest watches a controller that has nothing to do.
func (w *world) rest(ctx context.Context, a *agent) error {
	if err := sleep(ctx, w.Settle); err != nil {
		return err
	}
	consul, aws, began := w.front.counted.now(), w.aws.counted.now(), time.Now()
	before, err := procs.CPU(a.PID())
	if err != nil {
		return err
	}
	if err := sleep(ctx, w.Rest); err != nil {
		return err
	}
	after, err := procs.CPU(a.PID())
	if err != nil {
		return err
	}
	resident, err := procs.Resident(a.PID())
	if err != nil {
		return err
	}
	minutes := time.Since(began).Minutes()
	asked, ecs := w.front.counted.now().since(consul), w.aws.counted.now().since(aws)
	w.Say("at rest for %.0f s: Consul %v, AWS %v", w.Rest.Seconds(), asked.Calls, ecs.Calls)
	w.report("at rest, reads of Consul a minute, long polls apart", "", "< 2", float64(asked.of(isRead))/minutes)
	w.report("at rest, writes to Consul a minute", "", "", float64(asked.of(isWrite))/minutes)
	w.report("at rest, calls of ECS a minute", "", "", float64(ecs.of(isECS))/minutes)
	w.report("at rest, calls of SQS a minute", "", "", float64(ecs.of(func(call string) bool { return !isECS(call) }))/minutes)
	w.report("at rest, share of a core", "%", "< 1 %", (after-before).Seconds()/minutes/60*100)
	w.report("at rest, resident memory", "MiB", "< 120 MiB", float64(resident)/mebibyte)
	return nil
}

// isECS tells ECS's operations from SQS's.
func isECS(operation string) bool {
	return slices.Contains([]string{"ListTasks", "DescribeTasks", "DescribeTaskDefinition"}, operation)
}

// die has tasks chosen by chance be stopped, and ECS tell of it.
func (w *world) die(n int) ([]*simTask, error) {
	rand.Shuffle(len(w.alive), func(i, j int) { w.alive[i], w.alive[j] = w.alive[j], w.alive[i] })
	dead := slices.Clone(w.alive[:n])
	w.alive = w.alive[n:]
	w.aws.ecs.stop(dead)
	var events []string
	for _, t := range dead {
		event, err := taskevent.Marshal(t.sdk(false), account, t.stopped)
		if err != nil {
			return nil, err
		}
		events = append(events, string(event))
	}
	w.aws.queue.send(events)
	return dead, nil
}

// single has one task die and waits until nothing of it is left.
func (w *world) single(ctx context.Context) error {
	consul, aws := w.front.counted.now(), w.aws.counted.now()
	began := time.Now()
	dead, err := w.die(1)
	if err != nil {
		return err
	}
	if err := until(ctx, "nothing is left of the task", oneLimit, func() (bool, error) {
		services, tokens, err := w.left(ctx, dead)
		return services+tokens == 0 && err == nil, err
	}); err != nil {
		return err
	}
	w.report("one dies, until its services and tokens are gone", "s", "< 2 s", time.Since(began).Seconds())
	if err := sleep(ctx, quietAfter); err != nil { // for what comes after: the message is deleted
		return err
	}
	asked, ecs := w.front.counted.now().since(consul), w.aws.counted.now().since(aws)
	w.report("one dies, calls of Consul", "", "", float64(asked.of(func(string) bool { return true })))
	w.report("one dies, KiB to and from Consul", "", "", float64(asked.Bytes)/1024)
	w.report("one dies, calls of ECS", "", "", float64(ecs.of(isECS)))
	w.report("one dies, KiB to and from AWS", "", "", float64(ecs.Bytes)/1024)
	return nil
}

// goal of deaths at once.
func (w *world) goal(n int) string {
	switch {
	case n == atOnce && w.expiring:
		return "< 5 s"
	case n == atOnce:
		return "< 10 s"
	case n == 10*atOnce:
		return "< 90 s"
	}
	return ""
}

// many has n tasks die at once, and meanwhile registers what has nothing to do with them.
func (w *world) many(ctx context.Context, a *agent, n int) (dead []*simTask, err error) {
	consul, aws := w.front.counted.now(), w.aws.counted.now()
	cpu, err := procs.CPU(a.PID())
	if err != nil {
		return nil, err
	}
	quiet := w.probe(ctx, time.After(2*time.Second))
	began := time.Now()
	if dead, err = w.die(n); err != nil {
		return nil, err
	}
	gone := make(chan time.Time)
	peak, latencies := make(chan float64, 1), make(chan []float64, 1)
	go func() { peak <- w.peakWrites(ctx, gone) }()
	go func() { latencies <- w.probe(ctx, gone) }()
	at, err := w.gone(ctx, dead, began)
	close(gone)
	writes, busy := <-peak, <-latencies
	if err != nil {
		return nil, err
	}
	used, err := procs.CPU(a.PID())
	if err != nil {
		return nil, err
	}
	most, err := procs.Peak(a.PID())
	if err != nil {
		return nil, err
	}
	asked, ecs := w.front.counted.now().since(consul), w.aws.counted.now().since(aws)
	what := fmt.Sprintf("%d die at once, ", n)
	w.Say("%d died: Consul %v, AWS %v", n, asked.Calls, ecs.Calls)
	w.report(what+"until nothing of them is left", "s", w.goal(n), at.Sub(began).Seconds())
	w.report(what+"peak of Raft writes a second", "", "", writes)
	w.reportLatency(what+"an unrelated registration before", quiet)
	w.reportLatency(what+"an unrelated registration meanwhile", busy)
	w.report(what+"calls of ECS", "", "", float64(ecs.of(isECS)))
	w.report(what+"calls of Consul", "", "", float64(asked.of(func(string) bool { return true })))
	w.report(what+"processor time of the controller", "s", "", (used - cpu).Seconds())
	w.report(what+"peak of resident memory", "MiB", "", float64(most)/mebibyte)
	return dead, nil
}

// reportLatency files the median and the worst of many.
func (w *world) reportLatency(what string, took []float64) {
	if len(took) == 0 {
		w.Say("%s: none was answered", what)
		return
	}
	slices.Sort(took)
	w.report(what+", median", "ms", "", took[len(took)/2])
	w.report(what+", worst", "ms", "", took[len(took)-1])
}

// gone waits until nothing is left of dead tasks, and says when that was: with the last write that the controller made.
func (w *world) gone(ctx context.Context, dead []*simTask, began time.Time) (time.Time, error) {
	var last time.Time
	counted := 0
	err := until(ctx, "nothing is left of the tasks", manyLimit, func() (bool, error) {
		wrote := w.front.wrote()
		if wrote.Before(began) || time.Since(wrote) < quietAfter || wrote.Equal(last) {
			return false, fmt.Errorf("%d services and tokens were left", counted)
		}
		services, tokens, err := w.left(ctx, dead)
		if err != nil {
			return false, err
		}
		counted, last = services+tokens, wrote
		return counted == 0, fmt.Errorf("%d services and tokens are left", counted)
	})
	return last, err
}

// peakWrites is the most entries of Raft's log in a second, until done.
func (w *world) peakWrites(ctx context.Context, done <-chan time.Time) float64 {
	type look struct {
		at     time.Time
		writes int
	}
	var last look
	peak := 0.0
	for {
		if n, err := w.servers.writes(ctx); err == nil { // a server that is too busy to answer is asked again
			now := look{time.Now(), n}
			if !last.at.IsZero() {
				peak = max(peak, float64(n-last.writes)/now.at.Sub(last.at).Seconds())
			}
			last = now
		}
		select {
		case <-done:
			return peak
		case <-ctx.Done():
			return peak
		case <-time.After(lookEvery):
		}
	}
}

// probe registers a service of another node again and again until done, and says how many milliseconds each time took.
func (w *world) probe(ctx context.Context, done <-chan time.Time) (took []float64) {
	for i := 0; ; i++ {
		began := time.Now()
		_, err := w.servers.client().Catalog().Register(&api.CatalogRegistration{
			Node: "unrelated", Address: "10.1.0.1", Service: &api.AgentService{ID: "unrelated", Service: "unrelated", Port: 1000 + i%60000},
		}, (&api.WriteOptions{}).WithContext(ctx))
		if err == nil {
			took = append(took, float64(time.Since(began))/float64(time.Millisecond))
		}
		select {
		case <-done:
			return took
		case <-ctx.Done():
			return took
		case <-time.After(probeEvery):
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
