package dataplane_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/detour"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
)

// by leads to an instance by way of a device.
func by(t *testing.T, device *detour.Device, k *task, n int) {
	t.Helper()
	k.public = netip.AddrPortFrom(device.Addr(n), freeport.Loopback(t).Port())
	k.central = map[string]any{"bind_address": "0.0.0.0"}
	k.file.Envoy.Concurrency = 2
}

// TestAMomentOfAllInstancesCostsNoMoreThanWithout has all instances of a service away for a while: their applications gone, or the
// network.
func TestAMomentOfAllInstancesCostsNoMoreThanWithout(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	for name, row := range map[string]struct {
		protocol string
		lose     bool // packets; else the applications are gone
	}{
		"refused":            {"http", false},
		"packets lost":       {"http", true},
		"packets lost http2": {"http2", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			device := detour.Start(t)
			device.Delay(2 * time.Millisecond)
			seen, n := &sightings{of: map[string]int{}}, 0
			apis := startInstances(t, c, 2, seen, func(k *instance) {
				by(t, device, k.task, n)
				speaks(t, c, k.service, row.protocol)
				n++
			})
			callers := startCallers(t, c, apis[0].service)
			for _, k := range callers {
				eventually.True(t, k.service+" reaches api", eventually.Soon, func() bool { return get(k.upstream) == "200 from api" })
			}
			for _, away := range []time.Duration{time.Second, 2 * time.Second, 5 * time.Second} {
				ctx, cancel := context.WithTimeout(t.Context(), away+3*time.Second)
				defer cancel()
				tried := load(ctx, fmt.Sprint("tried", away, "-"), callers[0].upstream, seen)
				plain := load(ctx, fmt.Sprint("plain", away, "-"), callers[1].upstream, seen)
				time.Sleep(500 * time.Millisecond)
				for _, k := range apis {
					if row.lose {
						device.Lose(k.public.Addr(), true)
					} else {
						k.leave()
					}
				}
				time.Sleep(away)
				for _, k := range apis {
					if row.lose {
						device.Lose(k.public.Addr(), false)
					} else {
						k.serve(t)
					}
				}
				back := time.Now()
				with, without := tried(), plain()
				t.Logf("%s away: with retries %d of %d lost, %d of them sent later; without %d of %d, %d", away,
					len(with.lost), with.sent, with.lostAfter(back), len(without.lost), without.sent, without.lostAfter(back))
			}
			if !row.lose {
				return
			}
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			tried := load(ctx, "tried-dead-", callers[0].upstream, seen)
			plain := load(ctx, "plain-dead-", callers[1].upstream, seen)
			time.Sleep(500 * time.Millisecond)
			device.Lose(apis[0].public.Addr(), true)
			died := time.Now()
			with, without := tried(), plain()
			t.Logf("dead: with retries %d of %d lost, %d, %d of them sent 3, 11 s later; without %d of %d, %d, %d",
				len(with.lost), with.sent, with.lostAfter(died.Add(3*time.Second)), with.lostAfter(died.Add(11*time.Second)), len(without.lost), without.sent, without.lostAfter(died.Add(3*time.Second)), without.lostAfter(died.Add(11*time.Second)))
		})
	}
}
