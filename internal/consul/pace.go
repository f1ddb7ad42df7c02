package consul

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

// While Consul has too much to do, the pace is halved at each sign of it, and then grows by a twentieth of the ceiling, once in
// so much time.
const (
	paceStep  = time.Second
	paceSteps = 20
)

// pace is a ceiling on the writes a second, below which it stays while the servers say that they have too much to do.
type pace struct {
	ceiling rate.Limit
	limiter *rate.Limiter

	mu    sync.Mutex
	since time.Time // the limit is what it is
}

// newPace allows so many writes a second, and a tenth of them at once.
func newPace(perSecond int) *pace {
	ceiling := rate.Limit(perSecond)
	return &pace{ceiling: ceiling, limiter: rate.NewLimiter(ceiling, max(1, perSecond/10))}
}

// slower halves the pace. The answers to all that was under way at the same time count once.
func (p *pace) slower() {
	p.adjust(func(now rate.Limit) rate.Limit { return max(now/2, min(1, p.ceiling)) })
}

// well is called for each write that went through.
func (p *pace) well() {
	if p.limiter.Limit() < p.ceiling {
		p.adjust(func(now rate.Limit) rate.Limit { return min(now+p.ceiling/paceSteps, p.ceiling) })
	}
}

func (p *pace) adjust(next func(rate.Limit) rate.Limit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.since) >= paceStep {
		p.since = now
		p.limiter.SetLimit(next(p.limiter.Limit()))
	}
}

// pacedTransport sends writes at the pace, and sends those again that a server has refused for having too much to do, or for
// having no leader: it has not carried them out.
type pacedTransport struct {
	next http.RoundTripper
	pace *pace
}

// RoundTrip sends the request, a write as often as it takes until its context ends.
func (t pacedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodGet {
		return t.next.RoundTrip(req)
	}
	last := ""
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		if err := t.pace.limiter.Wait(req.Context()); err != nil {
			return nil, fmt.Errorf("wait for a turn to write%s: %w", last, err)
		}
		resp, err := t.next.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		text, busy := overload(resp)
		if !busy {
			t.pace.well()
			return resp, nil
		}
		t.pace.slower()
		last = fmt.Sprintf(" after the answer %d (%s)", resp.StatusCode, text)
		if req, err = replay(req); err != nil {
			return resp, nil
		}
		if !sleep.For(req.Context(), pause/2+rand.N(pause)) {
			return nil, fmt.Errorf("wait for another try%s: %w", last, context.Cause(req.Context()))
		}
	}
}

// overload reads an answer that may say that the server has too much to do, and puts it back.
func overload(resp *http.Response) (text string, busy bool) {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode < http.StatusInternalServerError {
		return "", false
	}
	text = peek(resp)
	return text, isOverload(resp.StatusCode, text)
}

// peek reads the body of an answer and puts it back.
func peek(resp *http.Response) string {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // what was read of it says enough
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return strings.TrimSpace(string(body))
}
