package fleet

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Load is the outcome of a run of requests at a fixed rate.
type Load struct {
	Sent    int
	Latency []time.Duration // of each answered request, sorted
	Failed  []Failure       // in the order they came to be known
}

// Failure is a request that got no 200.
type Failure struct {
	At  time.Time // when it was sent
	Err error
}

// String is a line for people; of the failures it tells the first ones.
func (l Load) String() string {
	line := fmt.Sprintf("%d requests, %d failed", l.Sent, len(l.Failed))
	if n := len(l.Latency); n > 0 {
		line += fmt.Sprintf(", median %s, p99 %s", l.Latency[n/2].Round(100*time.Microsecond), l.Latency[n*99/100].Round(100*time.Microsecond))
	}
	for _, f := range l.Failed[:min(3, len(l.Failed))] {
		line += fmt.Sprintf("; at %s: %s", f.At.Format("15:04:05.000"), f.Err)
	}
	return line
}

// Apply asks url for an answer rate times a second until ctx ends or limit requests were sent, each on a connection of
// its own. It returns when every request has its outcome.
func Apply(ctx context.Context, url string, rate, limit int) Load {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var load Load
	var mu sync.Mutex
	var wg sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for load.Sent < limit && ctx.Err() == nil {
		load.Sent++
		wg.Go(func() {
			start := time.Now()
			// The end of the load must not cut off requests under way: they count.
			err := Ask(context.WithoutCancel(ctx), client, url)
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
	return load
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
