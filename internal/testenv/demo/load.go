package demo

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
	Failed  map[string]int  // by what went wrong: a status or an error
	Latency []time.Duration // of each answered request, sorted
}

// FailedTotal is the number of requests that got no 200.
func (l Load) FailedTotal() int {
	total := 0
	for _, n := range l.Failed {
		total += n
	}
	return total
}

// String is a line for people.
func (l Load) String() string {
	line := fmt.Sprintf("%d requests, %d failed", l.Sent, l.FailedTotal())
	if n := len(l.Latency); n > 0 {
		line += fmt.Sprintf(", median %s, p99 %s", l.Latency[n/2].Round(100*time.Microsecond), l.Latency[n*99/100].Round(100*time.Microsecond))
	}
	for what, n := range l.Failed {
		line += fmt.Sprintf("; %d × %s", n, what)
	}
	return line
}

// apply asks url for an answer rate times a second until ctx ends or limit requests were sent, each on a connection of
// its own. It returns when every request has its outcome.
func apply(ctx context.Context, url string, rate, limit int) Load {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	load := Load{Failed: map[string]int{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for load.Sent < limit && ctx.Err() == nil {
		load.Sent++
		wg.Go(func() {
			start := time.Now()
			// The end of the load must not cut off requests under way: they count.
			err := ask(context.WithoutCancel(ctx), client, url)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				load.Failed[err.Error()]++
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

// ask makes one request; anything but a 200 is an error that says what came instead.
func ask(ctx context.Context, client *http.Client, url string) error {
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
