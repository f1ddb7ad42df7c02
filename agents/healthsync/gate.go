package healthsync

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// settledAfter is how long Consul must have held the task as passing before ECS hears that the task is healthy. ECS then
// stops the task that this one replaces, whose checks turn critical: were the two changes within one window of Envoy's (see
// mergeWindow), clients would go on calling the old task until its end, or find neither.
const settledAfter = 1500 * time.Millisecond

// gate holds ECS's verdict on the task back until the task is in the mesh. Without it, ECS replaces tasks faster than the
// mesh hears of them, and requests are lost in between. The container's health check, the agent passing, waits at it.
type gate struct {
	listener net.Listener
	once     sync.Once
	opened   chan struct{}
	told     atomic.Bool // somebody has been let through
	ended    <-chan struct{}
	end      context.CancelFunc
}

// newGate makes a gate that is shut. A health-sync that was restarted starts with a shut one, too.
func newGate(ctx context.Context) (*gate, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "unix", mesh.SocketPassing)
	if err != nil {
		return nil, fmt.Errorf("listen for the container's health check: %w", err)
	}
	life, end := context.WithCancel(ctx)
	return &gate{listener: l, opened: make(chan struct{}), ended: life.Done(), end: end}, nil
}

// passed opens the gate a moment from now, for good: what ECS makes of the task from then on is for the containers' own
// health checks to say.
func (g *gate) passed() {
	g.once.Do(func() { time.AfterFunc(settledAfter, func() { close(g.opened) }) })
}

// serve lets the callers through once the gate is open, until close. Those after the first are told that they are: they may stay,
// and hear of health-sync's end by that of the connection.
func (g *gate) serve() {
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			return // closed
		}
		go func() {
			defer conn.Close()
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				_, _ = conn.Read(make([]byte, 1)) // returns when the caller hangs up
			}()
			select {
			case <-g.opened:
				word := byte(mesh.PassingNews)
				if g.told.Load() {
					word = mesh.PassingKnown
				}
				if _, err := conn.Write([]byte{word}); err == nil { // a caller that has gone hears nothing
					g.told.Store(true)
				}
			case <-gone:
			case <-g.ended:
			}
			select {
			case <-gone:
			case <-g.ended:
			}
		}()
	}
}

func (g *gate) close() error {
	g.end()
	return g.listener.Close()
}
