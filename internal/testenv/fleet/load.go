package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Load is the outcome of a run of requests at a fixed rate.
type Load struct {
	Sent    int
	Dialed  int             // connections that were opened
	Latency []time.Duration // of each answered request, sorted
	Failed  []Failure       // in the order they came to be known
	Late    time.Duration   // how much later than due a request was sent, at the worst
}

// Failure is a request that got no 200.
type Failure struct {
	At  time.Time // when it was sent
	Err error
}

// String is a line for people; of the failures it tells the first ones.
func (l Load) String() string {
	line := fmt.Sprintf("%d requests on %d connections, %d failed", l.Sent, l.Dialed, len(l.Failed))
	if n := len(l.Latency); n > 0 {
		line += fmt.Sprintf(", median %s, p99 %s, slowest %s", l.Latency[n/2].Round(100*time.Microsecond),
			l.Latency[n*99/100].Round(100*time.Microsecond), l.Latency[n-1].Round(time.Millisecond))
	}
	line += fmt.Sprintf(", sent late by %s at the worst", l.Late.Round(time.Millisecond))
	for _, f := range l.Failed[:min(3, len(l.Failed))] {
		line += fmt.Sprintf("; at %s: %s", f.At.Format("15:04:05.000"), f.Err)
	}
	return line
}

// Stalled is the longest time for which the requests stood still, on their way or before it. Of requests that nothing but
// the machine can hold up, it is how long the machine did.
func (l Load) Stalled() time.Duration {
	stalled := l.Late
	if n := len(l.Latency); n > 0 {
		stalled = max(stalled, l.Latency[n-1])
	}
	if len(l.Failed) > 0 {
		stalled = max(stalled, askTimeout)
	}
	return stalled
}

// askTimeout bounds one request of a load.
const askTimeout = 10 * time.Second

// Traffic is requests for one URL.
type Traffic struct {
	URL  string
	Rate int  // a second
	Kept bool // connections are used again for as long as the server lets them be; else each request has one of its own
}

// Apply asks url for an answer rate times a second until ctx ends or limit requests were sent, each on a connection of
// its own. It returns when every request has its outcome.
func Apply(ctx context.Context, url string, rate, limit int) Load {
	return Traffic{URL: url, Rate: rate}.Apply(ctx, limit)
}

// Apply sends requests until ctx ends or limit were sent. It returns when every request has its outcome. A request that
// the client had to send a second time, since its kept connection was closed under it, counts as failed.
func (t Traffic) Apply(ctx context.Context, limit int) Load {
	sockets := &http.Transport{DisableKeepAlives: !t.Kept, MaxIdleConnsPerHost: limit}
	defer sockets.CloseIdleConnections()
	client := &http.Client{Timeout: askTimeout, Transport: sockets}
	var load Load
	var dialed atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	interval := time.Second / time.Duration(t.Rate)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	due := time.Now()
	for load.Sent < limit && ctx.Err() == nil {
		load.Sent++
		load.Late = max(load.Late, time.Since(due))
		due = time.Now().Add(interval)
		wg.Go(func() {
			start := time.Now()
			// The end of the load must not cut off requests under way: they count.
			err := askOnce(context.WithoutCancel(ctx), client, t.URL, &dialed)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				load.Failed = append(load.Failed, Failure{start, err})
				return
			}
			load.Latency = append(load.Latency, time.Since(start))
		})
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	wg.Wait()
	slices.Sort(load.Latency)
	load.Dialed = int(dialed.Load())
	return load
}

// askOnce is Ask without the client's second try, and counts the connections that were opened for it.
func askOnce(ctx context.Context, client *http.Client, url string, dialed *atomic.Int64) error {
	var got atomic.Int64
	err := Ask(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
		got.Add(1)
		if !c.Reused {
			dialed.Add(1)
		}
	}}), client, url)
	if err == nil && got.Load() > 1 {
		return errors.New("sent again: the server closed the kept connection under the request")
	}
	return err
}

// Ask makes one request; anything but a 200 is an error that says what came instead.
func Ask(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %.200s", resp.Status, body)
	}
	return nil
}
