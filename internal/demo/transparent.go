package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"syscall"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
)

// call is what an application of examples/local says of the call that it made.
type call struct {
	URL      string
	Resolved []string // what the host's name resolved to in the application's task
	Status   int      // 0: there was no answer
	Error    string
}

// outcome is the call's end in words.
func (c call) outcome() string {
	if c.Error != "" {
		return c.Error
	}
	return fmt.Sprint(c.Status)
}

// callOf asks an application whom it calls and what came of it.
func callOf(ctx context.Context, url string) (made call, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return call{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return call{}, err
	}
	defer resp.Body.Close()
	var answer struct{ Called *call }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Called == nil {
		return call{}, fmt.Errorf("GET %s: %s, and the application does not say whom it called (%v)", url, resp.Status, err)
	}
	return *answer.Called, nil
}

// refusedByName shows that shop knows the way to stock before it may take it. Consul is told first that nothing but its
// own services may be reached: else Envoy passes what it does not know on, and whoever has that address answers.
func (d *demo) refusedByName(ctx context.Context) error {
	virtual, err := d.virtualAddress(ctx, stockService)
	if err != nil {
		return err
	}
	if err := d.meshOnly(ctx); err != nil {
		return err
	}
	var made call
	if _, err = eventually.Seen(ctx, "shop → stock is refused", 30*time.Second, func() (missing string, err error) {
		if made, err = callOf(ctx, d.shopURL); err != nil || made.Status != 0 {
			return "got " + made.outcome(), err
		}
		return "", nil
	}); err != nil {
		return err
	}
	d.fact("in shop's task %s resolves to %v; Consul's virtual address of stock is %s", made.URL, made.Resolved, virtual)
	d.fact("shop's GET %s: %s", made.URL, made.outcome())
	if !slices.Contains(made.Resolved, virtual) {
		return fmt.Errorf("the name resolves to %v, want %s: Consul DNS does not answer the task", made.Resolved, virtual)
	}
	return nil
}

// meshOnly lets transparent proxies reach the services of the mesh alone.
func (d *demo) meshOnly(ctx context.Context) error {
	_, _, err := d.catalog.ConfigEntries().Set(&api.MeshConfigEntry{
		TransparentProxy: api.TransparentProxyMeshConfig{MeshDestinationsOnly: true},
	}, (&api.WriteOptions{}).WithContext(ctx))
	return err
}

// virtualAddress is the address that Consul gave a service of the mesh for transparent proxies.
func (d *demo) virtualAddress(ctx context.Context, service string) (string, error) {
	proxies, _, err := d.catalog.Catalog().Connect(service, "", (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return "", fmt.Errorf("read the proxies of %s: %w", service, err)
	}
	for _, p := range proxies {
		if virtual, ok := p.ServiceTaggedAddresses["consul-virtual"]; ok {
			return virtual.Address, nil
		}
	}
	return "", fmt.Errorf("service %s has no virtual address in Consul", service)
}

func (d *demo) allowedByName(ctx context.Context) error {
	_, err := d.allowCall(ctx, shopService, d.shopURL)
	return err
}

// allowCall lets a service call stock, and waits until the application at url gets its answer.
func (d *demo) allowCall(ctx context.Context, service, url string) (made call, err error) {
	if err := d.catalog.Allow(ctx, service, stockService); err != nil {
		return made, err
	}
	begin := time.Now()
	at, err := eventually.Seen(ctx, service+" → stock answers 200", 30*time.Second, func() (missing string, err error) {
		if made, err = callOf(ctx, url); err != nil || made.Status != http.StatusOK {
			return made.outcome(), err
		}
		return "", nil
	})
	if err == nil {
		d.fact("%s's GET %s: %s %s after the intention was written; no upstream is listed", service, made.URL, made.outcome(), at.Sub(begin).Round(time.Millisecond))
	}
	return made, err
}

// guarded shows that stock's own port, at which it does listen, leads into its proxy, which wants a certificate of the mesh.
func (d *demo) guarded(ctx context.Context) error {
	task, err := d.aws.onlyTask(ctx, stockService)
	if err != nil {
		return err
	}
	url := "http://" + net.JoinHostPort(fleet.IPAddress(task), "9090") + "/"
	bounded, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err = fleet.Ask(bounded, http.DefaultClient, url)
	switch {
	case err == nil:
		return fmt.Errorf("GET %s got an answer from outside the mesh", url)
	case bounded.Err() != nil:
		return fmt.Errorf("GET %s was neither answered nor refused: %w", url, err)
	case !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET): // a refused connection would mean that nothing listens
		return fmt.Errorf("GET %s did not end in the proxy: %w", url, err)
	}
	d.fact("GET %s from this machine: %v", url, err)
	d.fact("stock listens there at every address, but who has no certificate of the mesh gets a closed connection")
	return nil
}
