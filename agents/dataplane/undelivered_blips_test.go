package dataplane_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/detour"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
)

// behind puts an instance behind a device, as the nth there, with two workers.
func (k *task) behind(t *testing.T, device *detour.Device, n int) {
	t.Helper()
	k.public = netip.AddrPortFrom(device.Addr(n), freeport.Loopback(t).Port())
	k.central = map[string]any{"bind_address": "0.0.0.0"}
	k.file.Envoy.Concurrency = 2
}

// counted is the sum of an Envoy's counters of a name, over the clusters of a service.
func (k *task) counted(t *testing.T, service, name string) (sum int) {
	t.Helper()
	for line := range strings.Lines(ask(k.file.Envoy.AdminBindPort, "/stats?filter=^cluster\\."+service+"\\..*\\."+name+"$")) {
		if _, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			n, err := strconv.Atoi(value)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			sum += n
		}
	}
	return sum
}

// TestAMomentOfAllInstancesCostsNoMoreThanWithout has all instances of a service away for a while, their applications or the
// network to them. Every Envoy has two workers, and a round trip takes 4 ms. In the end they are away for good, or one of them.
func TestAMomentOfAllInstancesCostsNoMoreThanWithout(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	for name, row := range map[string]struct {
		protocol string
		lose     bool // packets; else the applications are gone
		away     []time.Duration
		end      func(*testing.T, *detour.Device, []*instance, []caller, *sightings)
	}{
		"refused":                  {"http", false, []time.Duration{time.Second, 2 * time.Second, 5 * time.Second}, triesAreBounded},
		"packets are lost":         {"http", true, []time.Duration{5 * time.Second}, aMachineDies},
		"packets are lost, HTTP/2": {"http2", true, []time.Duration{5 * time.Second}, aMachineDies},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			device := detour.Start(t)
			device.Delay(2 * time.Millisecond)
			seen, n := &sightings{of: map[string]int{}}, 0
			apis := startInstances(t, c, 2, seen, func(k *instance) {
				k.behind(t, device, n)
				speaks(t, c, k.service, row.protocol)
				n++
			})
			callers := startCallers(t, c, apis[0].service)
			for _, k := range callers {
				eventually.True(t, k.service+" reaches api", eventually.Soon, func() bool { return get(k.upstream) == "200 from api" })
			}
			for _, away := range row.away {
				ctx, cancel := context.WithTimeout(t.Context(), away+2*time.Second)
				defer cancel()
				tried := load(ctx, fmt.Sprint("tried", away, "-"), callers[0].upstream, seen)
				plain := load(ctx, fmt.Sprint("plain", away, "-"), callers[1].upstream, seen)
				time.Sleep(500 * time.Millisecond)
				for _, k := range apis {
					if device.Lose(k.public.Addr(), row.lose); !row.lose {
						k.leave()
					}
				}
				time.Sleep(away)
				for _, k := range apis {
					if device.Lose(k.public.Addr(), false); !row.lose {
						k.serve(t)
					}
				}
				back := time.Now()
				with, without := tried(), plain()
				t.Logf("%s away: with retries %d of %d lost, without %d of %d", away, len(with.lost), with.sent, len(without.lost), without.sent)
				// A request may be under way to an application when it goes, and a busy machine may lose one.
				if len(with.lost) > len(without.lost)+2 || with.lostAfter(back) > 2 || with.twice > 0 {
					t.Errorf("%s away: with retries %d are lost, %d of them were sent later, %d were seen twice; without %d",
						away, len(with.lost), with.lostAfter(back), with.twice, len(without.lost))
				}
			}
			row.end(t, device, apis, callers, seen)
		})
	}
}

// triesAreBounded counts how often a request is tried that nobody can take, and for how long.
func triesAreBounded(t *testing.T, _ *detour.Device, apis []*instance, callers []caller, _ *sightings) {
	for _, k := range apis {
		k.leave()
	}
	const requests, limit = 10, 16 // retries of each
	k := callers[0]
	before := k.counted(t, k.calls, "upstream_rq_retry")
	done := make(chan time.Duration, requests)
	client := &http.Client{Timeout: eventually.Soon}
	for range requests {
		go func() {
			began := time.Now()
			if status, answer := post(client, k.upstream, "/", 10); status != http.StatusServiceUnavailable && status != http.StatusGatewayTimeout {
				t.Errorf("nobody is there, and the answer is %d %s", status, answer)
			}
			done <- time.Since(began)
		}()
	}
	var slowest time.Duration
	for range requests {
		slowest = max(slowest, <-done)
	}
	retried := k.counted(t, k.calls, "upstream_rq_retry") - before
	t.Logf("nobody is there: %.1f retries a request, given up after %s at the latest", float64(retried)/requests, slowest)
	if retried == 0 || retried > requests*limit {
		t.Errorf("%d requests were retried %d times, for up to %s", requests, retried, slowest)
	}
}

// aMachineDies has one of two instances gone without a word: no packet is answered any more. The proxy with retries notices.
func aMachineDies(t *testing.T, device *detour.Device, apis []*instance, callers []caller, seen *sightings) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tried, plain := load(ctx, "tried-dead-", callers[0].upstream, seen), load(ctx, "plain-dead-", callers[1].upstream, seen)
	device.Lose(apis[0].public.Addr(), true)
	quick := &http.Client{Timeout: 2 * time.Second}
	took := eventually.True(t, "its silence is noticed", 2*eventually.Soon, func() bool {
		for range 12 { // each second one would meet it
			resp, err := quick.Get("http://" + callers[0].upstream.String())
			if err != nil {
				return false
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return false
			}
		}
		return true
	})
	noticed := time.Now()
	time.Sleep(2 * time.Second)
	cancel()
	with, without := tried(), plain()
	t.Logf("a machine dies: noticed after %s; with retries %d of %d lost, %d of them sent later; without %d of %d, %d", took, len(with.lost), with.sent,
		with.lostAfter(noticed), len(without.lost), without.sent, without.lostAfter(noticed))
	if with.lostAfter(noticed) > 0 || with.twice > 0 || without.lostAfter(noticed) == 0 {
		t.Errorf("with retries %d are lost, %d of them sent later, %d seen twice; without %d, %d", len(with.lost), with.lostAfter(noticed), with.twice,
			len(without.lost), without.lostAfter(noticed))
	}
}
