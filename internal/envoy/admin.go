package envoy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// callTimeout bounds one call to Envoy: it is on the same host, so a slow answer is as good as none.
const callTimeout = 2 * time.Second

// dumpTimeout bounds a dump of the configuration, which can be tens of MiB.
const dumpTimeout = 10 * time.Second

// maxBody bounds what is read of an answer.
const maxBody = 4 << 20

// Admin calls Envoy's admin interface.
type Admin struct {
	base   string
	client *http.Client
}

// NewAdmin makes a client of the admin interface at addr.
func NewAdmin(addr netip.AddrPort) *Admin {
	return &Admin{base: "http://" + addr.String(), client: loopbackClient()}
}

// loopbackClient never goes through a proxy and opens a connection for each call: calls are rare, and an idle connection
// would count as one of Envoy's.
func loopbackClient() *http.Client {
	return &http.Client{Timeout: callTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
}

// Drain tells the peers of the inbound listeners to go elsewhere: HTTP answers close their connections from now on.
// Envoy serves on; it neither exits nor closes the listeners before its drain time is over.
func (a *Admin) Drain(ctx context.Context) error {
	_, err := a.call(ctx, http.MethodPost, "/drain_listeners?inboundonly&graceful&skip_exit")
	return err
}

// Inbound counts what is in flight from other proxies to the application: HTTP requests and TCP connections.
func (a *Admin) Inbound(ctx context.Context) (int, error) {
	const filter = `^(http\.public_listener\.downstream_rq_active|tcp\.public_listener\.downstream_cx_active)$`
	body, err := a.call(ctx, http.MethodGet, "/stats?format=json&type=Gauges&filter="+url.QueryEscape(filter))
	if err != nil {
		return 0, err
	}
	var answer struct {
		Stats []struct {
			Value int `json:"value"`
		} `json:"stats"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, fmt.Errorf("GET /stats: %w", err)
	}
	sum := 0
	for _, s := range answer.Stats {
		sum += s.Value
	}
	return sum, nil
}

// DumpConfig writes Envoy's whole configuration to w, as JSON. Envoy leaves private keys out of it.
func (a *Admin) DumpConfig(ctx context.Context, w io.Writer) error {
	const path = "/config_dump"
	ctx, cancel := context.WithTimeout(ctx, dumpTimeout)
	defer cancel()
	return stream(ctx, &http.Client{Transport: a.client.Transport}, a.base+path+"?include_eds", path, w)
}

// Metrics writes Envoy's metrics to w, in the text format of Prometheus. query is Prometheus's own.
func (a *Admin) Metrics(ctx context.Context, query string, w io.Writer) error {
	return stream(ctx, &http.Client{Transport: a.client.Transport}, a.base+MergedPath+"?"+query, MergedPath, w)
}

// stream copies the body of an answer with status 200 to w.
func stream(ctx context.Context, client *http.Client, url, short string, w io.Writer) error {
	resp, err := send(ctx, client, http.MethodGet, url)
	if err == nil {
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%d", resp.StatusCode)
		} else {
			_, err = io.Copy(w, resp.Body)
		}
	}
	if err != nil {
		return fmt.Errorf("GET %s: %w", short, err)
	}
	return nil
}

func (a *Admin) call(ctx context.Context, method, path string) ([]byte, error) {
	return call(ctx, a.client, method, a.base, path)
}

// call returns the body of an answer with status 200; any other is an error that names it.
func call(ctx context.Context, client *http.Client, method, base, path string) ([]byte, error) {
	short, _, _ := strings.Cut(path, "?")
	resp, err := send(ctx, client, method, base+path)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, short, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", method, short, err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s %s: %d: %s", method, short, resp.StatusCode, bytes.TrimSpace(body[:min(len(body), 200)]))
	}
	return body, nil
}

// send makes a request. Its error leaves method and URL to the caller.
func send(ctx context.Context, client *http.Client, method, at string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, at, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	var detail *url.Error
	if errors.As(err, &detail) {
		err = detail.Err
	}
	return resp, err
}

// Readiness asks an Envoy's ready listener, time after time over the same connection: opening one costs both sides more than
// the answer does.
type Readiness struct {
	base   string
	client *http.Client
}

// NewReadiness is for the ready listener at addr.
func NewReadiness(addr netip.AddrPort) Readiness {
	return Readiness{"http://" + addr.String(), &http.Client{Timeout: callTimeout, Transport: &http.Transport{ReadBufferSize: 1 << 10, WriteBufferSize: 1 << 10}}}
}

// Check returns nil when Envoy is live: the first listeners and clusters have come from Consul and its workers accept
// connections.
func (r Readiness) Check(ctx context.Context) error {
	_, err := call(ctx, r.client, http.MethodGet, r.base, "/ready")
	return err
}

// IsSilence reports whether the error of a Check means that no answer came in time. A busy Envoy misses one now and then.
func IsSilence(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// CheckReady is Check for whoever asks the ready listener at addr once.
func CheckReady(ctx context.Context, addr netip.AddrPort) error {
	_, err := call(ctx, loopbackClient(), http.MethodGet, "http://"+addr.String(), "/ready")
	return err
}
