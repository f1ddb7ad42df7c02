package fleet

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/world"
)

// Catalog reads and writes a world's Consul as an operator does, with the bootstrap token.
type Catalog struct{ *api.Client }

// NewCatalog returns the catalog of a world.
func NewCatalog(address world.Address, token string) (*Catalog, error) {
	cfg := &api.Config{Address: address.ConsulHTTPS, Scheme: "http", Token: token, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	if address.ConsulCAPEM != "" {
		cfg.Scheme = "https"
		cfg.TLSConfig = api.TLSConfig{CAPem: []byte(address.ConsulCAPEM), Address: address.ConsulServerName}
	}
	client, err := api.NewClient(cfg)
	if err != nil {
		return nil, err
	}
	return &Catalog{client}, nil
}

// Instance is one service instance with the worst state of its checks.
type Instance struct {
	Service, ID, Task, Status string
	Checks                    int
}

// String is the instance as a row of a table.
func (i Instance) String() string {
	return fmt.Sprintf("%s\t%s\t%s\t%d", i.Service, i.ID, i.Status, i.Checks)
}

// Instances lists the instances of services, sorted by ID.
func (c *Catalog) Instances(ctx context.Context, services ...string) ([]Instance, error) {
	var all []Instance
	for _, service := range services {
		entries, _, err := c.Health().Service(service, "", false, (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("read health of service %s: %w", service, err)
		}
		for _, e := range entries {
			all = append(all, Instance{service, e.Service.ID, e.Service.Meta["task-id"], e.Checks.AggregatedStatus(), len(e.Checks)})
		}
	}
	slices.SortFunc(all, func(a, b Instance) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// Of narrows instances to those of one task.
func Of(task string, instances []Instance) []Instance {
	return slices.DeleteFunc(slices.Clone(instances), func(i Instance) bool { return i.Task != task })
}

// LoginTokens lists the accessors of the tokens that tasks got by logging in; of one task only, unless task is "". Without
// ACLs there are none.
func (c *Catalog) LoginTokens(ctx context.Context, task string) ([]string, error) {
	tokens, _, err := c.ACL().TokenList((&api.QueryOptions{}).WithContext(ctx))
	switch {
	case err != nil && strings.Contains(err.Error(), "ACL support disabled"):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	var accessors []string
	for _, t := range tokens {
		if t.AuthMethod != "" && strings.Contains(t.Description, task) {
			accessors = append(accessors, t.AccessorID)
		}
	}
	return accessors, nil
}

// Allow writes the intention that lets source call destination.
func (c *Catalog) Allow(ctx context.Context, source, destination string) error {
	_, _, err := c.ConfigEntries().Set(&api.ServiceIntentionsConfigEntry{
		Kind: api.ServiceIntentions, Name: destination,
		Sources: []*api.SourceIntention{{Name: source, Action: api.IntentionActionAllow}},
	}, (&api.WriteOptions{}).WithContext(ctx))
	return err
}

// Passes waits until the task's instance of service passes, and returns when that was.
func (c *Catalog) Passes(ctx context.Context, service, task string, limit time.Duration) (time.Time, error) {
	return c.until(ctx, "task "+task+" passes", limit, []string{service}, func(of []Instance) bool {
		return len(of) == 1 && of[0].Status == api.HealthPassing
	}, task)
}

// TurnsCritical waits until the task's instance of service is critical or gone.
func (c *Catalog) TurnsCritical(ctx context.Context, service, task string, limit time.Duration) (time.Time, error) {
	return c.until(ctx, "task "+task+" turns critical", limit, []string{service}, func(of []Instance) bool {
		return len(of) == 0 || of[0].Status == api.HealthCritical
	}, task)
}

// Leaves waits until no instance of the services is the task's any more.
func (c *Catalog) Leaves(ctx context.Context, task string, limit time.Duration, services ...string) (time.Time, error) {
	return c.until(ctx, "task "+task+" leaves the catalog", limit, services, func(of []Instance) bool { return len(of) == 0 }, task)
}

func (c *Catalog) until(ctx context.Context, what string, limit time.Duration, services []string, good func([]Instance) bool, task string) (time.Time, error) {
	return eventually.Seen(ctx, what, limit, func() (string, error) {
		all, err := c.Instances(ctx, services...)
		if err != nil || good(Of(task, all)) {
			return "", err
		}
		return fmt.Sprint("the catalog has ", all), nil
	})
}
