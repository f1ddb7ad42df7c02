// Package controllerbench measures a controller among many tasks: how soon dead ones are gone from Consul, what that costs
// Consul's servers and the others who use them, and what the controller uses at rest. The controller is the program that
// ships, Consul is real, with real tokens of real logins; ECS, SQS, STS and IAM are simulated, since ten thousand tasks
// have no room on one machine.
package controllerbench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/procs"
)

// Settings say what is measured. Say tells of progress; Report files samples of a figure.
type Settings struct {
	Agent   string        // the agents' program
	Servers []int         // how many servers Consul has: one measurement each
	Sizes   []int         // how many tasks there are
	Rest    time.Duration // for which a controller at rest is watched
	Settle  time.Duration // since its start, before it counts as at rest; its first full look may take longer
	Samples int           // of a single death
	Writes  int           // maxWritesPerSecond of the controller; 0 = its default
	Say     func(format string, args ...any)
	Report  func(f figures.Figure, samples ...float64)
}

// Defaults measure what the controller's goals speak of.
func Defaults() Settings {
	return Settings{
		Agent: "bin/consulecs-agent", Servers: []int{1, 3}, Sizes: []int{100, 1000, 10000},
		Rest: 20 * time.Second, Settle: 35 * time.Second, Samples: 5,
	}
}

// Numbers are those that Settings have lists of, as a flag of a command: with commas between, each above 0.
type Numbers []int

// Set reads them.
func (n *Numbers) Set(text string) error {
	var all []int
	for part := range strings.SplitSeq(text, ",") {
		number, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || number < 1 {
			return fmt.Errorf("%q: want numbers above 0, with commas between, such as 1000,50000", text)
		}
		all = append(all, number)
	}
	*n = all
	return nil
}

func (n *Numbers) String() string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint([]int(*n)), "[]"), " ", ",")
}

// atOnce is how many die at once, where there are as many; with all of the largest size besides.
const atOnce = 1000

// world is what a controller is measured in.
type world struct {
	Settings
	aws     *simAWS
	servers servers
	front   *front
	bearers map[string]string // by task family
	size    int
	alive   []*simTask

	expiring bool // the controller deletes no token, as tokens end by themselves

	mu     sync.Mutex
	tokens map[string][]string // accessor IDs, by the ID of their task
}

// Run measures. Nothing that it started outlives it.
func Run(ctx context.Context, s Settings) error {
	var errs []error
	for _, n := range s.Servers {
		if err := run(ctx, s, n); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", serversOf(n), err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func run(ctx context.Context, s Settings, servers int) (err error) {
	free, err := procs.Free()
	if err != nil {
		return err
	}
	s.Sizes = slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(s.Sizes))), func(size int) bool {
		lacking := room(size, servers, free)
		if lacking != "" {
			s.Say("NOT measured: %s", lacking)
		}
		return lacking != ""
	})
	if len(s.Sizes) == 0 {
		return nil
	}
	w := &world{Settings: s, tokens: map[string][]string{}}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.open(ctx, servers); err != nil {
		return err
	}
	for _, size := range s.Sizes {
		if err := w.measure(ctx, size); err != nil {
			return fmt.Errorf("%d tasks: %w", size, err)
		}
	}
	return nil
}

func (w *world) open(ctx context.Context, servers int) (err error) {
	w.Say("Consul comes up with %d servers", servers)
	if w.aws, err = startAWS(); err != nil {
		return err
	}
	if w.servers, err = startServers(ctx, servers); err != nil {
		return err
	}
	if w.front, err = startFront(w.servers.last()); err != nil {
		return err
	}
	if err := w.bootstrap(ctx); err != nil {
		return err
	}
	w.bearers, err = bearers(w.aws)
	return err
}

func (w *world) close() error {
	var errs []error
	if w.front != nil {
		errs = append(errs, w.front.stop())
	}
	errs = append(errs, w.servers.stop())
	if w.aws != nil {
		errs = append(errs, w.aws.stop())
	}
	return errors.Join(errs...)
}

// atATime is how many tasks are started between two lines of progress.
const atATime = 10000

// top fills up to so many tasks.
func (w *world) top(ctx context.Context) error {
	for missing := w.size - len(w.alive); missing > 0; missing = w.size - len(w.alive) {
		if err := w.fill(ctx, min(missing, atATime)); err != nil {
			return err
		}
	}
	return nil
}

// measure runs controllers among so many tasks, one that does not delete tokens and one that does. That one comes last: in the end
// all tasks of the largest size die, and it would take long to start them anew.
func (w *world) measure(ctx context.Context, size int) error {
	w.size, w.expiring = size, false
	began, missing := time.Now(), size-len(w.alive)
	if err := w.top(ctx); err != nil {
		return err
	}
	w.report("services and tokens of a task, made in", "ms", "", float64(time.Since(began).Milliseconds())/float64(missing))
	if err := w.with(ctx, true, func(ctx context.Context, a *agent) error {
		dead, err := w.many(ctx, a, min(atOnce, size))
		if err != nil {
			return err
		}
		return w.deleteTokens(ctx, dead)
	}); err != nil {
		return err
	}
	if err := w.with(ctx, false, w.everything); err != nil {
		return err
	}
	peak, err := w.servers.peak()
	if err != nil {
		return err
	}
	w.report("memory of Consul's servers at their peak", "MiB", "", float64(peak)/mebibyte)
	return nil
}

// with starts a controller, has it measured and ends it.
func (w *world) with(ctx context.Context, expiring bool, measured func(context.Context, *agent) error) (err error) {
	w.expiring = expiring
	if err := w.top(ctx); err != nil {
		return err
	}
	began := time.Now()
	agent, err := w.startController(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if ended := agent.end(); ended != nil {
			err = errors.Join(err, fmt.Errorf("end the controller: %w", ended))
		}
		if err != nil {
			w.Say("the controller's log ends:\n%s", agent.tail())
		}
	}()
	w.report("start of the controller until it is ready", "s", "", time.Since(began).Seconds())
	if err := agent.looked(ctx, 1); err != nil {
		return err
	}
	return measured(ctx, agent)
}

func (w *world) everything(ctx context.Context, agent *agent) error {
	idle, err := w.rest(ctx, agent)
	if err != nil {
		return fmt.Errorf("at rest: %w", err)
	}
	if err := w.look(ctx, agent, idle); err != nil {
		return fmt.Errorf("a full look: %w", err)
	}
	for range w.Samples {
		if err := w.single(ctx, agent); err != nil {
			return fmt.Errorf("one death: %w", err)
		}
	}
	counts := []int{min(atOnce, w.size)}
	if w.size == slices.Max(w.Sizes) && w.size > atOnce {
		counts = append(counts, w.size)
	}
	for _, n := range counts {
		if err := w.top(ctx); err != nil {
			return err
		}
		if _, err := w.many(ctx, agent, n); err != nil {
			return fmt.Errorf("%d deaths: %w", n, err)
		}
	}
	return nil
}

// incumbent is what was published with the goals, on another stage than this.
func (w *world) incumbent(name string) string {
	if w.size == atOnce && !w.expiring && strings.HasSuffix(name, "until nothing of them is left") {
		return "472 s"
	}
	return ""
}

// report files a figure of this world.
func (w *world) report(name, unit, goal string, samples ...float64) {
	if w.expiring {
		name = "with tokens that expire, " + name
	}
	w.Report(figures.Figure{
		Name: fmt.Sprintf("%d tasks, %s: %s", w.size, serversOf(len(w.servers)), name), Unit: unit, Goal: goal, Incumbent: w.incumbent(name),
	}, samples...)
}
