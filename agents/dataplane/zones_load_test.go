package dataplane_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// answers is what became of requests.
type answers struct {
	sent, lost int
	by         map[string]int
}

// share is the share that is lost of what was sent.
func (a answers) share() float64 { return float64(a.lost) / float64(max(a.sent, 1)) }

// load sends a caller's requests at a pace until ctx ends.
func (w *zoneWorld) load(ctx context.Context, caller string, every time.Duration) func() answers {
	got := answers{by: map[string]int{}}
	var mu sync.Mutex
	var all sync.WaitGroup
	all.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for ctx.Err() == nil {
			got.sent++
			all.Go(func() {
				answer := w.ask(w.at[caller])
				mu.Lock()
				defer mu.Unlock()
				if w.instances[answer] == nil {
					got.lost++
					return
				}
				got.by[answer]++
			})
			<-tick.C
		}
	})
	return func() answers {
		all.Wait()
		return got
	}
}

// What a catalog does with questions.
const (
	pass   = "pass"
	refuse = "refuse"
	delay  = "delay"
)

// catalog stands before the HTTP API of a real Consul, at a port for each that asks, and can be in a bad way.
type catalog struct {
	real *httputil.ReverseProxy
	mu   sync.Mutex
	does map[string]string // by who asks
}

func startCatalog(t *testing.T, c *testenv.Consul) *catalog {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(c.CAPEM))
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "https", Host: fmt.Sprintf("%s:%d", c.Address, c.HTTPPort)})
	proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: c.ServerName}}
	return &catalog{real: proxy, does: map[string]string{}}
}

// become says what the catalog does with the questions of one.
func (c *catalog) become(who, does string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.does[who] = does
}

// at is where one asks it.
func (c *catalog) at(t *testing.T, who string) *dataplanefile.HTTP {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		does := c.does[who]
		c.mu.Unlock()
		switch does {
		case refuse:
			http.Error(rw, "Permission denied: token lacks permission 'service:read'", http.StatusForbidden)
			return
		case delay:
			<-r.Context().Done()
			return
		}
		c.real.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	return &dataplanefile.HTTP{Port: int(netip.MustParseAddrPort(server.Listener.Addr().String()).Port()), TLSDisabled: true}
}
