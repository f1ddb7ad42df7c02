// Package awsfault puts itself before an emulator of AWS in tests, as an AWS on a bad day: it throttles by quota, loses answers,
// does not know yet what it was just told, is out of order, lets credentials expire or says nothing at all.
package awsfault

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// Call is one call of AWS, told by its header or its form.
type Call struct {
	Service string // "ecs", "iam", "sts", "sqs", "events"; "" for others
	Action  string // such as "CreateRole"
}

// Rule has calls meet a fault.
type Rule struct {
	Action string // "": every one
	Skip   int    // so many of its calls go through first
	Times  int    // and so many meet the fault then
	Fault  Fault
}

// Proxy is the AWS of a bad day, on loopback. Its methods may be called at any time.
type Proxy struct {
	URL string

	emulator http.Handler
	end      chan struct{} // closed at the end

	mu      sync.Mutex
	rules   []*Rule
	buckets []*bucket
	calls   []Call
}

// Start serves until the test ends, before the emulator at the URL.
func Start(t *testing.T, emulator string) *Proxy {
	t.Helper()
	p, stop, err := Serve(emulator)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return p
}

// Serve serves until stop is called, before the emulator at the URL.
func Serve(emulator string) (p *Proxy, stop func(), err error) {
	behind, err := url.Parse(emulator)
	if err != nil {
		return nil, nil, err
	}
	handler := httputil.NewSingleHostReverseProxy(behind)
	handler.Transport = &http.Transport{MaxIdleConnsPerHost: 20}                                           // its own: nothing is left open at the end
	handler.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) } // the caller is gone
	p = &Proxy{emulator: handler, end: make(chan struct{})}
	server := httptest.NewServer(p)
	p.URL = server.URL
	return p, func() {
		close(p.end)
		server.CloseClientConnections()
		server.Close()
		handler.Transport.(*http.Transport).CloseIdleConnections()
	}, nil
}

// Inject adds rules. Where several fit a call, the first one counts.
func (p *Proxy) Inject(rules ...Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range rules {
		p.rules = append(p.rules, &r)
	}
}

// Limit throttles the calls that match together: a bucket of burst tokens, refilled by so many a second. The calls that were
// turned away are counted, too.
func (p *Proxy) Limit(burst int, perSecond float64, match func(Call) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buckets = append(p.buckets, &bucket{tokens: float64(burst), burst: float64(burst), perSecond: perSecond, last: time.Now(), match: match})
}

// Calls are the calls so far, in the order in which they came.
func (p *Proxy) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Call(nil), p.calls...)
}

// Forget begins anew: without rules, quotas and calls.
func (p *Proxy) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules, p.buckets, p.calls = nil, nil, nil
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller is gone
	}
	in := &incoming{Call: callOf(r, body), r: r, body: body, proxy: p}
	if fault := p.decide(in.Call); fault != nil {
		fault(w, in)
		return
	}
	in.forward(w)
}

// decide notes the call and finds what it is to meet; nil for the emulator's own answer.
func (p *Proxy) decide(c Call) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, c)
	for _, b := range p.buckets {
		if b.match(c) && !b.take(time.Now()) {
			return Throttle
		}
	}
	for _, rule := range p.rules {
		switch {
		case rule.Action != "" && rule.Action != c.Action:
		case rule.Skip > 0:
			rule.Skip--
		case rule.Times > 0:
			rule.Times--
			return rule.Fault
		}
	}
	return nil
}

type bucket struct {
	tokens, burst, perSecond float64
	last                     time.Time
	match                    func(Call) bool
}

func (b *bucket) take(now time.Time) bool {
	b.tokens = min(b.burst, b.tokens+now.Sub(b.last).Seconds()*b.perSecond)
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// incoming is a call on its way.
type incoming struct {
	Call
	r     *http.Request
	body  []byte
	proxy *Proxy
}

// json says by which protocol the call came.
func (in *incoming) json() bool { return in.r.Header.Get(target) != "" }

func (in *incoming) forward(w http.ResponseWriter) {
	body := withoutPage(in.body)
	in.r.Body, in.r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	in.proxy.emulator.ServeHTTP(w, in.r)
}

// target is the header by which services of the JSON protocols are told.
const target = "X-Amz-Target"

// targets are what those services call themselves, up to a version.
var targets = map[string]string{"AmazonEC2ContainerService": "ecs", "AmazonSQS": "sqs", "AWSEvents": "events"}

// versions are those of the services that name themselves in a form.
var versions = map[string]string{"2010-05-08": "iam", "2011-06-15": "sts"}

func callOf(r *http.Request, body []byte) Call {
	if called := r.Header.Get(target); called != "" {
		service, action, _ := strings.Cut(called, ".")
		name, _, _ := strings.Cut(service, "V20")
		return Call{cmp.Or(targets[name], service), action}
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return Call{}
	}
	return Call{versions[form.Get("Version")], form.Get("Action")}
}
