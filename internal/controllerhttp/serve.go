// Package controllerhttp serves what operators and their tools ask a controller: whether it lives and is ready, its metrics,
// and, for those in its task alone, that the brake lets go of what it holds back. Nothing that it says is a secret.
package controllerhttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/consulecs/terraform-provider-consulecs/internal/metrics"
)

// Paths of what is served.
const (
	PathHealth  = "/healthz" // 200 while the controller's loop moves, else 503
	PathReady   = "/readyz"  // 200 once the controller is connected and Consul prepared, leading or not, else 503
	PathMetrics = "/metrics" // for Prometheus
	PathRelease = "/release" // by POST, from loopback: lets through what the brake holds back
)

const (
	requestTimeout = 5 * time.Second  // for a whole request to arrive
	answerTimeout  = 30 * time.Second // for an answer to be taken
	idleTimeout    = 2 * time.Minute  // of a connection: more than Prometheus lets pass between two scrapes
	endTimeout     = time.Second      // for answers that are under way at the end
	maxHeader      = 16 << 10
)

// Readiness is what a controller says of itself.
type Readiness struct {
	Ready   bool   `json:"ready"`             // connected, and Consul prepared
	Leading bool   `json:"leading"`           // this controller does the work
	Leader  string `json:"leader,omitempty"`  // who leads; "" while nobody is known to
	Missing string `json:"missing,omitempty"` // what it is not ready for the lack of
}

// Controller is what the server asks. Its functions are called from many goroutines.
type Controller struct {
	Health  func() error                       // why the controller is stuck; nil while it is not
	Ready   func() Readiness                   // how far it is
	Release func(context.Context) (int, error) // lets go of what the brake holds back; says of how many tasks
	Metrics prometheus.Gatherer
	Log     hclog.Logger
}

// Server is a server at work.
type Server struct {
	Address netip.AddrPort // where it listens

	http *http.Server
	done chan struct{}
	err  error // written before done is closed
}

// Serve listens at address and serves until ctx ends. It returns once it listens.
func Serve(ctx context.Context, address string, c Controller) (*Server, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, explain(address, err)
	}
	s := &Server{
		Address: l.Addr().(*net.TCPAddr).AddrPort(),
		http: &http.Server{
			Handler: handler(c), ReadHeaderTimeout: requestTimeout, ReadTimeout: requestTimeout, WriteTimeout: answerTimeout,
			IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
			ErrorLog: c.Log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
		},
		done: make(chan struct{}),
	}
	ended := context.AfterFunc(ctx, s.end)
	go func() {
		defer close(s.done)
		defer ended()
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.err = fmt.Errorf("serve HTTP at %s: %w", s.Address, err)
		}
	}()
	return s, nil
}

// Done is closed once nothing is served any more.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err is why the server ended, after Done; nil where ctx ended it.
func (s *Server) Err() error { return s.err }

// end lets answers that are under way be taken, but for no longer than endTimeout.
func (s *Server) end() {
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // its error is that of a listener which Shutdown has closed
	}
}

// explain says what to do about an address that cannot be had.
func explain(address string, err error) error {
	err = fmt.Errorf("listen at controller.httpAddress %s: %w", address, err)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w\nhint: another program has the port, on EC2 in network mode host that of another task: set controller.httpAddress to a free one", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w\nhint: the task does not have this address: set controller.httpAddress to one on 127.0.0.1, or on 0.0.0.0 for whoever reaches the task", err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w\nhint: set controller.httpAddress to a port above 1023", err)
	}
	return err
}

func handler(c Controller) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+PathHealth, func(w http.ResponseWriter, _ *http.Request) {
		if err := c.Health(); err != nil {
			answer(w, http.StatusServiceUnavailable, map[string]any{"healthy": false, "reason": err.Error()})
			return
		}
		answer(w, http.StatusOK, map[string]any{"healthy": true})
	})
	mux.HandleFunc("GET "+PathReady, func(w http.ResponseWriter, _ *http.Request) {
		status, r := http.StatusOK, c.Ready()
		if !r.Ready {
			status = http.StatusServiceUnavailable
		}
		answer(w, status, r)
	})
	mux.Handle("GET "+PathMetrics, metrics.Page(c.Metrics, c.Log))
	// A page of a browser in the task, were there one, must not let the brake go.
	mux.Handle("POST "+PathRelease, http.NewCrossOriginProtection().Handler(http.HandlerFunc(c.release)))
	return mux
}

func (c Controller) release(w http.ResponseWriter, r *http.Request) {
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !from.Addr().Unmap().IsLoopback() {
		c.Log.Warn("release of the brake refused", "from", r.RemoteAddr)
		answer(w, http.StatusForbidden, released{Error: "ask from within the task, at 127.0.0.1: aws ecs execute-command"})
		return
	}
	tasks, err := c.Release(r.Context())
	if err != nil {
		answer(w, http.StatusConflict, released{Error: err.Error()})
		return
	}
	c.Log.Warn("brake released", "tasks", tasks)
	answer(w, http.StatusOK, released{Tasks: tasks})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // an error means that whoever asked has gone
}
