package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

// checkTimeout bounds one check. A server that takes longer is of no use to a task either.
const checkTimeout = 10 * time.Second

// facts is what the checks have learned so far. Each field is written by the check named beside it, and read only by checks
// that wait for that one.
type facts struct {
	getenv func(string) string
	log    hclog.Logger

	cfg          agentconfig.Config   // config
	settings     consul.Settings      // config; without what is the task's own
	metadata     *taskmeta.Endpoint   // metadata
	task         *taskmeta.Details    // metadata; nil where there are none
	registration *consul.Registration // task-address; nil where the task has none
	login        consul.Login         // aws-credentials
	aws          aws.Config           // aws-credentials
	role         role                 // sts and iam-get-role
	servers      []netip.Addr         // server-addresses
	conn         *consul.Connection   // login; nil without
	netAdmin     bool                 // net-admin
}

// check is one thing to look at. look gets a context that ends, and obeys it.
type check struct {
	name  string
	needs []string // checks that must have gone well
	after []string // checks that must be over
	look  func(*facts, context.Context) Finding
}

// examine makes the checks, side by side where they do not wait for each other. The order of the findings is the checks'.
// When ctx is cancelled, checks under way come to their end and the others are skipped.
func examine(ctx context.Context, checks []check, f *facts) report {
	findings := make(report, len(checks))
	over := make([]chan struct{}, len(checks))
	place := map[string]int{}
	for i, c := range checks {
		over[i] = make(chan struct{})
		place[c.name] = i
	}
	var group sync.WaitGroup
	for i, c := range checks {
		group.Go(func() {
			defer close(over[i])
			var hindered []string
			for _, name := range slices.Concat(c.needs, c.after) {
				at, known := place[name]
				if !known {
					panic("internal error: check " + c.name + " waits for " + name + ", which does not exist")
				}
				<-over[at]
				if slices.Contains(c.needs, name) && findings[at].hinders() {
					hindered = append(hindered, name)
				}
			}
			findings[i] = c.make(ctx, f, hindered).oneLine()
			findings[i].Check = c.name
		})
	}
	group.Wait()
	return findings
}

// make looks, unless checks that this one needs did not go well.
func (c check) make(ctx context.Context, f *facts, hindered []string) Finding {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return skip("stopped before it was looked at")
	case len(hindered) > 0:
		return skip("needs %s", strings.Join(hindered, ", "))
	case ctx.Err() != nil:
		return fail("not looked at within -timeout", "give it more time by -timeout")
	}
	limited, cancel := context.WithTimeoutCause(ctx, checkTimeout, fmt.Errorf("no answer within %s", checkTimeout))
	defer cancel()
	found := c.look(f, limited)
	if found.Status == Fail && errors.Is(ctx.Err(), context.Canceled) {
		return skip("stopped while it was looked at")
	}
	return found
}
