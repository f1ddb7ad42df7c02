package controllerbench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/controllerhttp"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/taskevent"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/procs"
)

const (
	lookInterval = 5 * time.Minute // of full looks, while events are heard of

	quietAfter = time.Second            // without a write, before Consul is asked whether that was the last
	stuckAfter = 15 * time.Second       // the same, while the controller still has events to work on
	lookEvery  = 500 * time.Millisecond // at Raft's log
	probeEvery = 100 * time.Millisecond // of an unrelated registration
	mebibyte   = 1 << 20
)

// use is what a controller has used up to a moment.
type use struct {
	at          time.Time
	cpu         time.Duration
	consul, aws traffic
}

func (w *world) use(a *agent) (use, error) {
	cpu, err := procs.CPU(a.PID())
	return use{time.Now(), cpu, w.front.counted.now(), w.aws.counted.now()}, err
}

// since is what a controller has used since then.
func (w *world) since(a *agent, then use) (use, error) {
	now, err := w.use(a)
	return use{now.at, now.cpu - then.cpu, now.consul.since(then.consul), now.aws.since(then.aws)}, err
}

// rest watches a controller that has nothing to do, and returns its share of a core.
func (w *world) rest(ctx context.Context, a *agent) (share float64, err error) {
	if !sleep.For(ctx, max(w.Settle-time.Since(a.began), w.Settle/8)) {
		return 0, context.Cause(ctx)
	}
	before, err := w.use(a)
	if err != nil {
		return 0, err
	}
	if !sleep.For(ctx, w.Rest) {
		return 0, context.Cause(ctx)
	}
	used, err := w.since(a, before)
	if err != nil {
		return 0, err
	}
	resident, err := procs.Resident(a.PID())
	if err != nil {
		return 0, err
	}
	minutes := used.at.Sub(before.at).Minutes()
	share = used.cpu.Minutes() / minutes
	w.Say("at rest for %.0f s: Consul %v, AWS %v", w.Rest.Seconds(), used.consul.Calls, used.aws.Calls)
	w.report("at rest, reads of Consul a minute, long polls apart", "", "< 2", float64(used.consul.of(isRead))/minutes)
	w.report("at rest, calls of Consul a minute that keep the lock", "", "", float64(used.consul.of(isBeatCall))/minutes)
	w.report("at rest, other calls of Consul a minute", "", "", float64(used.consul.of(func(call string) bool { return isWork(call) && !isRead(call) }))/minutes)
	w.report("at rest, calls of ECS a minute", "", "", float64(used.aws.of(isECS))/minutes)
	w.report("at rest, calls of SQS a minute", "", "", float64(used.aws.of(func(call string) bool { return !isECS(call) }))/minutes)
	w.report("at rest, share of a core", "%", "< 1 %", share*100)
	w.report("at rest, resident memory", "MiB", "< 120 MiB", float64(resident)/mebibyte)
	return share, nil
}

// look has the controller look at everything, of which it finds nothing to remove. idle is its share of a core at rest.
func (w *world) look(ctx context.Context, a *agent, idle float64) error {
	n, took, err := a.looks()
	if err != nil {
		return err
	}
	if err := procs.ForgetPeak(a.PID()); err != nil {
		return err
	}
	before, err := w.use(a)
	if err != nil {
		return err
	}
	if _, err := controllerhttp.AskRelease(ctx, a.http); err != nil { // which begins with a full look
		return err
	}
	pages := (len(w.alive) + perPage) / perPage                                                            // the controller's own task among them
	if _, err := eventually.Seen(ctx, "all tasks are listed", a.look, func() (missing string, err error) { // which asks the controller nothing
		if listed := w.aws.counted.now().since(before.aws).Calls["ListTasks"]; listed < pages {
			missing = fmt.Sprintf("%d of %d pages are", listed, pages)
		}
		return missing, nil
	}); err != nil {
		return err
	}
	if err := a.looked(ctx, n+1); err != nil {
		return err
	}
	used, err := w.since(a, before)
	if err != nil {
		return err
	}
	_, after, err := a.looks()
	if err != nil {
		return err
	}
	most, err := procs.Peak(a.PID())
	if err != nil {
		return err
	}
	calls, seconds := float64(used.aws.of(isECS)), (after - took).Seconds()
	w.Say("a full look: Consul %v, AWS %v", used.consul.Calls, used.aws.Calls)
	w.report("a full look", "s", "", seconds)
	w.report("a full look, calls of ECS", "", fmt.Sprintf("≤ %d", 2*max(w.size/perPage, 1)), calls)
	w.report("a full look, calls of ECS a second after the first", "", "≤ 2", (calls-1)/max(seconds, 1))
	w.report("a full look, reads of Consul", "", "", float64(used.consul.of(isRead)))
	w.report("a full look, MiB to and from Consul", "", "", float64(used.consul.Bytes)/mebibyte)
	w.report("a full look, processor time", "s", "", used.cpu.Seconds())
	w.report("a full look, peak of resident memory", "MiB", "< 120 MiB", float64(most)/mebibyte)
	w.report("at rest with a full look every five minutes, share of a core", "%", "< 1 %", (idle+used.cpu.Seconds()/lookInterval.Seconds())*100)
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
func (w *world) single(ctx context.Context, a *agent) error {
	before, err := w.use(a)
	if err != nil {
		return err
	}
	dead, err := w.die(1)
	if err != nil {
		return err
	}
	at, err := w.gone(ctx, dead, before.at)
	if err != nil {
		return err
	}
	w.report("one dies, until its services and tokens are gone", "s", "< 2 s", at.Sub(before.at).Seconds())
	used, err := w.since(a, before)
	if err != nil {
		return err
	}
	w.Say("one died: Consul %v, AWS %v", used.consul.Calls, used.aws.Calls)
	w.report("one dies, calls of Consul", "", "", float64(used.consul.of(isWork)))
	w.report("one dies, KiB to and from Consul", "", "", float64(used.consul.Bytes)/1024)
	w.report("one dies, calls of ECS", "", "", float64(used.aws.of(isECS)))
	w.report("one dies, KiB to and from AWS", "", "", float64(used.aws.Bytes)/1024)
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
	if err := procs.ForgetPeak(a.PID()); err != nil {
		return nil, err
	}
	before, err := w.use(a)
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
	used, err := w.since(a, before)
	if err != nil {
		return nil, err
	}
	most, err := procs.Peak(a.PID())
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("%d die at once, ", n)
	w.Say("%d died: Consul %v, AWS %v", n, used.consul.Calls, used.aws.Calls)
	w.report(what+"until nothing of them is left", "s", w.goal(n), at.Sub(began).Seconds())
	w.report(what+"peak of Raft writes a second", "", "", writes)
	w.reportLatency(what+"an unrelated registration before", quiet)
	w.reportLatency(what+"an unrelated registration meanwhile", busy)
	w.report(what+"calls of ECS", "", "", float64(used.aws.of(isECS)))
	w.report(what+"calls of Consul", "", "", float64(used.consul.of(isWork)))
	w.report(what+"processor time of the controller", "s", "", used.cpu.Seconds())
	w.report(what+"peak of resident memory", "MiB", "< 120 MiB", float64(most)/mebibyte)
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

// goneLimit is the most that so many deaths may take. The controller's ceilings alone let 200 tasks go in a second, a machine that is
// busy with other things lets fewer.
func goneLimit(tasks int) time.Duration {
	return 3*time.Minute + time.Duration(tasks)*50*time.Millisecond
}

// gone waits until nothing is left of dead tasks, and says when that was: with the last write that the controller made. Consul is
// asked as rarely as can be, since its answer takes time that the controller would have: its lists are of all tasks.
func (w *world) gone(ctx context.Context, dead []*simTask, began time.Time) (time.Time, error) {
	var last time.Time
	counted := "nothing was written"
	_, err := eventually.Seen(ctx, "nothing is left of the tasks", goneLimit(len(dead)), func() (missing string, err error) {
		quiet := quietAfter
		if w.aws.queue.left() > 0 {
			quiet = stuckAfter
		}
		wrote := w.front.wrote()
		if wrote.Before(began) || time.Since(wrote) < quiet || wrote.Equal(last) {
			return counted, nil
		}
		if missing, err = w.left(ctx, dead); err == nil {
			counted, last = missing, wrote
		}
		return missing, err
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
