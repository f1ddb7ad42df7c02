package healthsync

import (
	"context"
	"fmt"
	"net"
	"sync"
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
}

// newGate makes a gate that is shut. A health-sync that was restarted starts with a shut one, too.
func newGate(ctx context.Context) (*gate, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "unix", mesh.SocketPassing)
	if err != nil {
		return nil, fmt.Errorf("listen for the container's health check: %w", err)
	}
	return &gate{listener: l, opened: make(chan struct{})}, nil
}

// passed opens the gate a moment from now, for good: what ECS makes of the task from then on is for the containers' own
// health checks to say.
func (g *gate) passed() {
	g.once.Do(func() { time.AfterFunc(settledAfter, func() { close(g.opened) }) })
}

// serve lets the callers through once the gate is open, until close.
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
				_, _ = conn.Write([]byte{1}) // a caller that has gone hears nothing
			case <-gone:
			}
		}()
	}
}

func (g *gate) close() error { return g.listener.Close() }
