package demo

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// consulFacts reads Consul as an operator does, with the bootstrap token.
type consulFacts struct{ client *api.Client }

func newConsulFacts(address testenv.Address, token string) (*consulFacts, error) {
	client, err := api.NewClient(&api.Config{
		Address: address.ConsulHTTPS, Scheme: "https", Token: token,
		TLSConfig: api.TLSConfig{CAPem: []byte(address.ConsulCAPEM), Address: address.ConsulServerName},
		Transport: &http.Transport{MaxIdleConnsPerHost: 4},
	})
	if err != nil {
		return nil, err
	}
	return &consulFacts{client}, nil
}

// instance is one service instance with the worst state of its checks.
type instance struct {
	service, id, task, status string
	checks                    int
}

func (i instance) String() string {
	return fmt.Sprintf("%s\t%s\t%s\t%d", i.service, i.id, i.status, i.checks)
}

// instances lists the instances of services, sorted by ID.
func (c *consulFacts) instances(ctx context.Context, services ...string) ([]instance, error) {
	var all []instance
	for _, service := range services {
		entries, _, err := c.client.Health().Service(service, "", false, (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("read health of service %s: %w", service, err)
		}
		for _, e := range entries {
			all = append(all, instance{service, e.Service.ID, e.Service.Meta["task-id"], e.Checks.AggregatedStatus(), len(e.Checks)})
		}
	}
	slices.SortFunc(all, func(a, b instance) int { return strings.Compare(a.id, b.id) })
	return all, nil
}

// loginTokens lists the accessors of the tokens that tasks got by logging in. Of one task only, unless task is "".
func (c *consulFacts) loginTokens(ctx context.Context, task string) ([]string, error) {
	tokens, _, err := c.client.ACL().TokenList((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
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

// allow writes the intention that lets source call destination.
func (c *consulFacts) allow(ctx context.Context, source, destination string) error {
	_, _, err := c.client.ConfigEntries().Set(&api.ServiceIntentionsConfigEntry{
		Kind: api.ServiceIntentions, Name: destination,
		Sources: []*api.SourceIntention{{Name: source, Action: api.IntentionActionAllow}},
	}, (&api.WriteOptions{}).WithContext(ctx))
	return err
}

// leaves waits until no service of the task is in the catalog any more and returns when that was.
func (c *consulFacts) leaves(ctx context.Context, task string, services ...string) (time.Time, error) {
	return eventually(ctx, fmt.Sprintf("task %s leaves the catalog", task), 30*time.Second, func() (string, error) {
		all, err := c.instances(ctx, services...)
		if err != nil {
			return "", err
		}
		for _, i := range all {
			if i.task == task {
				return "still there: " + i.id + " " + i.status, nil
			}
		}
		return "", nil
	})
}

// turnsCritical waits until some check of the task's instance of service is critical, or the instance is gone.
func (c *consulFacts) turnsCritical(ctx context.Context, service, task string) (time.Time, error) {
	return eventually(ctx, "task "+task+" turns critical", 60*time.Second, func() (string, error) {
		all, err := c.instances(ctx, service)
		if err != nil {
			return "", err
		}
		for _, i := range all {
			if i.task == task && i.status != api.HealthCritical {
				return i.id + " is " + i.status, nil
			}
		}
		return "", nil
	})
}

// eventually asks seen until it reports nothing missing, and returns when that was. Past the limit, the error says what
// was missing last.
func eventually(ctx context.Context, what string, limit time.Duration, seen func() (missing string, err error)) (time.Time, error) {
	deadline := time.Now().Add(limit)
	for {
		missing, err := seen()
		switch {
		case err == nil && missing == "":
			return time.Now(), nil
		case ctx.Err() != nil:
			return time.Time{}, ctx.Err()
		case time.Now().After(deadline):
			return time.Time{}, fmt.Errorf("%s: not within %s: %s (%v)", what, limit, missing, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}
