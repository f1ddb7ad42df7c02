// Package demo shows the whole product on one machine, from `terraform apply` to traffic that obeys an intention: first
// with an upstream at a local port, then with transparent proxy and Consul DNS, at last by names with nothing redirected. Each step prints its time and the facts that show it, and fails with a pointed message when the world is not as it should be.
package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/world"
)

// DefaultName is the world's name, unless told otherwise.
const DefaultName = "consulecs-demo"

// Config says where the demo works.
type Config struct {
	Name     string // labels everything the demo makes on Docker, so that it can be found again after a crash
	Dir      string // the world's state and Terraform's; made, and removed at the end
	Examples string // the folder with the Terraform configuration
	Provider string // the folder with the built provider
	Keep     bool   // stop before the destruction and leave the world up
	Out      io.Writer
}

// demo is one run: what the steps have found out so far.
type demo struct {
	Config
	token     string
	address   world.Address
	terraform *testenv.Terraform
	aws       *awsFacts
	catalog   *fleet.Catalog
	webURL    string
	shopURL   string
	kioskURL  string
}

type step struct {
	name string
	run  func(*demo, context.Context) error
}

// steps are the demo in order; the last ones undo the first.
var steps = []step{
	{"a1. world up: Consul with ACLs and TLS, an AWS emulator, a local ECS", (*demo).worldUp},
	{"a2. terraform apply: controller, web and api, shop and stock, kiosk", (*demo).apply},
	{"b. all services passing in Consul", (*demo).allPassing},
	{"c. web → api is refused: default deny", (*demo).refused},
	{"d. an intention is written: web → api answers 200", (*demo).allowed},
	{"e. rolling replacement of api under 50 requests/s", (*demo).rolling},
	{"f. api's task is killed outright: every container, no SIGTERM", (*demo).killed},
	{"g. the leading controller is killed, and api's task with it: the other controller leads and cleans up", (*demo).leaderKilled},
	{"h. transparent proxy and Consul DNS: shop resolves stock.virtual.consul and is refused", (*demo).refusedByName},
	{"i. an intention is written: shop → http://stock.virtual.consul answers 200", (*demo).allowedByName},
	{"j. nobody reaches stock past its proxy", (*demo).guarded},
	{"k. names as on Fargate: kiosk → http://stock.virtual.consul answers 200, and nothing is redirected", (*demo).byName},
	{"l. terraform plan: no changes", (*demo).unchanged},
}

var undoing = []step{
	{"m. terraform destroy: nothing left", (*demo).destroy},
	{"n. world down", (*demo).worldDown},
}

// Run plays the demo. Whatever happens, also when ctx ends, the world is taken down again unless it is to be kept.
func Run(ctx context.Context, c Config) (err error) {
	if err := Down(ctx, c.Name, c.Dir); err != nil {
		return fmt.Errorf("tidy up after an earlier demo: %w", err)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	begin := time.Now()
	d := &demo{Config: c, token: newToken()}
	all := steps
	if !c.Keep {
		all = append(all, undoing...)
	}
	for _, s := range all {
		if err := d.play(ctx, s); err != nil {
			return errors.Join(err, d.abandon(ctx))
		}
	}
	fmt.Fprintf(c.Out, "\nDemo done in %s: every step was as it should be.\n", time.Since(begin).Round(100*time.Millisecond))
	if c.Keep {
		d.sayWhereToLook()
	}
	return nil
}

// play runs one step and prints its name first and its time last.
func (d *demo) play(ctx context.Context, s step) error {
	fmt.Fprintf(d.Out, "\n── %s\n", s.name)
	begin := time.Now()
	if err := s.run(d, ctx); err != nil {
		fmt.Fprintf(d.Out, "   NOT as it should be, after %s\n", time.Since(begin).Round(time.Millisecond))
		return fmt.Errorf("step %s: %w", s.name, err)
	}
	fmt.Fprintf(d.Out, "   done in %s\n", time.Since(begin).Round(time.Millisecond))
	return nil
}

// abandon takes the world down after a failure. What it has logged stays readable until then.
func (d *demo) abandon(ctx context.Context) error {
	fmt.Fprintf(d.Out, "\nThe world's log ends:\n%s\n\nTaking the world down.\n", tail(logFile(d.Dir), 30))
	if err := Down(context.WithoutCancel(ctx), d.Name, d.Dir); err != nil {
		return fmt.Errorf("take the world down: %w\nhint: run make demo-down", err)
	}
	return nil
}

// fact prints one line of what a step has seen.
func (d *demo) fact(format string, args ...any) { fmt.Fprintf(d.Out, "   "+format+"\n", args...) }

// table prints rows under a header, in columns.
func (d *demo) table(header string, rows []string) {
	w := tabwriter.NewWriter(d.Out, 0, 0, 2, ' ', 0)
	for _, line := range append([]string{header}, rows...) {
		fmt.Fprintln(w, "   "+line)
	}
	w.Flush()
}

func (d *demo) sayWhereToLook() {
	fmt.Fprintf(d.Out, `
The world stays up. Where to look:
   Consul's UI      https://%s/ui (its certificate is signed by %s)
   its token        %s
   AWS endpoint     %s (credentials test/test, region %s)
   web              %s
   shop             %s
   kiosk            %s
   world's log      %s
Take it down with: make demo-down
`, d.address.ConsulHTTPS, caFile(d.Dir), d.token, d.address.AWS, d.address.Region, d.webURL, d.shopURL, d.kioskURL, logFile(d.Dir))
}

// newToken makes a bootstrap token in the form that Consul asks for, a UUID.
func newToken() string {
	var b [16]byte
	rand.Read(b[:])
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
