// Package bench measures what the product is judged by, on a world of its own, and prints medians with their goals. The
// goals are never asserted: machines are noisy, and figures are for people to compare within one run.
package bench

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
)

const (
	worldName = "consulecs-bench"
	limit     = 60 * time.Second // of any one wait
	idleFor   = 30 * time.Second // at rest, before memory and writes are looked at
)

// figure is one row of the result.
type figure struct {
	name, goal string
	samples    []float64
	unit       string
}

// bench is one run.
type bench struct {
	*fleet.Fleet
	catalog *fleet.Catalog
	webURL  string
	out     io.Writer
	figures []*figure
}

// Run starts a world in dir, takes n samples of each time, and prints the figures to out.
func Run(ctx context.Context, dir string, n int, out io.Writer) (err error) {
	world, err := testenv.StartWorld(ctx, testenv.WorldConfig{Name: worldName, Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, world.Close()) }()
	b := &bench{Fleet: fleet.New(world.Address), out: out}
	if b.catalog, err = fleet.NewCatalog(world.Address, world.Consul.BootstrapToken); err != nil {
		return err
	}
	controller, web, err := b.prepare(ctx)
	if err != nil {
		return err
	}
	for _, part := range []func() error{
		func() error { return b.sizes() },
		func() error { return b.lives(ctx, n, "no ECS health check", false, "< 5 s") },
		func() error { return b.lives(ctx, n, "ECS health check at 5 s", true, "< 10 s") },
		func() error { return b.deaths(ctx, n) },
		func() error { return b.idle(ctx, controller, web) },
	} {
		if err := part(); err != nil {
			return err
		}
	}
	return b.print()
}

// add files a sample under the name of its figure.
func (b *bench) add(name, goal, unit string, sample float64) {
	i := slices.IndexFunc(b.figures, func(f *figure) bool { return f.name == name })
	if i < 0 {
		b.figures = append(b.figures, &figure{name: name, goal: goal, unit: unit})
		i = len(b.figures) - 1
	}
	b.figures[i].samples = append(b.figures[i].samples, sample)
}

func (b *bench) seconds(name, goal string, d time.Duration) { b.add(name, goal, "s", d.Seconds()) }

func (b *bench) print() error {
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FIGURE\tMEDIAN\tSPREAD\tSAMPLES\tGOAL")
	for _, f := range b.figures {
		slices.Sort(f.samples)
		last := len(f.samples) - 1
		fmt.Fprintf(w, "%s\t%.2f %s\t%.2f to %.2f\t%d\t%s\n", f.name, f.samples[len(f.samples)/2], f.unit, f.samples[0], f.samples[last], last+1, f.goal)
	}
	return w.Flush()
}

// prepare runs the controller, and web, which calls the service under test.
func (b *bench) prepare(ctx context.Context) (controller, web string, err error) {
	definition, err := b.RegisterController(ctx)
	if err != nil {
		return "", "", err
	}
	first, err := b.Run(ctx, definition)
	if err != nil {
		return "", "", err
	}
	spec := b.Spec("web", 8080, fleet.App("web", "0.0.0.0:8080", "http://127.0.0.1:1234", false))
	spec.Proxy.Upstreams = append(spec.Proxy.Upstreams, fleet.Upstream(service, 1234))
	if definition, err = b.Register(ctx, spec); err != nil {
		return "", "", err
	}
	if err := b.catalog.Allow(ctx, "web", service); err != nil {
		return "", "", err
	}
	task, err := b.Run(ctx, definition)
	if err != nil {
		return "", "", err
	}
	if _, err := b.catalog.Passes(ctx, "web", fleet.TaskID(task), limit); err != nil {
		return "", "", err
	}
	if task, err = b.Task(ctx, aws.ToString(task.TaskArn)); err != nil {
		return "", "", err
	}
	b.webURL = fmt.Sprintf("http://%s:8080/", fleet.IPAddress(task))
	return aws.ToString(first.TaskArn), aws.ToString(task.TaskArn), nil
}

// sizes are those of what ships, as make build and make setup leave it.
func (b *bench) sizes() error {
	binary, err := os.Stat("bin/consulecs-agent")
	if err != nil {
		return fmt.Errorf("%w\nhint: run make bench from the repository's root", err)
	}
	b.add("consulecs-agent, binary", "< 30 MB", "MB", float64(binary.Size())/1e6)
	return nil
}
