package dataplane

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
	"github.com/consulecs/terraform-provider-consulecs/internal/metrics"
	"github.com/consulecs/terraform-provider-consulecs/internal/xds"
)

const (
	healthPath    = "/healthz"
	headerTimeout = 5 * time.Second
	readyPoll     = 50 * time.Millisecond
)

// server is an HTTP server on loopback.
type server struct {
	http *http.Server
	done chan struct{}
	err  error // written before done is closed
}

// serve listens at addr. The hint tells what else may be done where somebody else does.
func serve(addr netip.AddrPort, handler http.Handler, hint string) (*server, error) {
	l, err := net.Listen("tcp", addr.String())
	if err != nil {
		return nil, fmt.Errorf("%w\nhint: %s", err, hint)
	}
	s := &server{http: &http.Server{Handler: handler, ReadHeaderTimeout: headerTimeout}, done: make(chan struct{})}
	go func() {
		if err := s.http.Serve(l); err != http.ErrServerClosed {
			s.err = fmt.Errorf("serve HTTP at %s: %w", addr, err)
		}
		close(s.done)
	}()
	return s, nil
}

// close ends the server at once: whoever asks something of an agent that ends can do without the answer.
func (s *server) close() {
	_ = s.http.Close()
	<-s.done
}

func (s *server) ending() ending { return ending{s.done, func() error { return s.err }} }

// lifeCycle answers at the two paths that tell the agent to stop and whether the proxy serves, and at healthPath.
func (a *agent) lifeCycle(stop func(), health func(*http.Request) health) http.Handler {
	e := a.file.Envoy
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case e.GracefulShutdownPath:
			a.log.Info("told to stop by a request", "path", r.URL.Path)
			stop()
		case e.GracefulStartupPath:
			if !a.awaitReady(r) {
				http.Error(w, "envoy is not ready", http.StatusServiceUnavailable)
			}
		case healthPath:
			health(r).write(w)
		default:
			http.NotFound(w, r)
		}
	})
}

// awaitReady reports whether Envoy is ready within the grace period of the start.
func (a *agent) awaitReady(r *http.Request) bool {
	began := time.Now()
	end := time.NewTimer(time.Duration(a.file.Envoy.StartupGracePeriodSeconds) * time.Second)
	defer end.Stop()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		if envoy.CheckReady(r.Context(), a.file.Envoy.Ready()) == nil {
			a.log.Info("asked whether envoy is ready: it is", "waited", time.Since(began).Round(time.Millisecond).String())
			return true
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return false
		case <-end.C:
			a.log.Warn("asked whether envoy is ready: it is not", "waited", time.Since(began).Round(time.Millisecond).String())
			return false
		}
	}
}

// health is what the dataplane needs to be of use.
type health struct {
	Token      bool `json:"token"`      // Consul knows the token, or none is needed
	Server     bool `json:"server"`     // there is a connection to a Consul server
	Envoy      bool `json:"envoy"`      // it answers and serves
	Configured bool `json:"configured"` // Envoy has applied a first configuration

	Names *metrics.Names `json:"names,omitempty"` // how calls by name fare, which the task can do without
}

func (a *agent) health(r *http.Request, conn *consul.Connection, proxy *xds.Proxy) health {
	h := health{
		Token:  !proxy.Status().TokenLost,
		Server: conn.Ready(),
		Envoy:  envoy.CheckReady(r.Context(), a.file.Envoy.Ready()) == nil,
	}
	select {
	case <-proxy.Configured():
		h.Configured = true
	default:
	}
	if a.names != nil {
		state := a.names.State()
		h.Names = &state
	}
	return h
}

func (h health) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	if !h.Token || !h.Server || !h.Envoy || !h.Configured {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(h) // whoever asked has gone
}

// metricsPage is what Prometheus gets to see: the agent's own metrics, Envoy's, and the application's where they are.
func (a *agent) metricsPage(own *metrics.Dataplane) http.Handler {
	sources := []metrics.Source{{Name: "envoy", Write: envoy.NewAdmin(a.file.Envoy.Admin()).Metrics}}
	if at := a.file.Telemetry.Prometheus.ServiceMetricsURL; at != "" {
		sources = append(sources, metrics.HTTP("service", at))
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+envoy.MergedPath, metrics.Page(own, a.log, sources...))
	return mux
}

// watch tells the metrics how the streams and the connection are.
func watch(own *metrics.Dataplane, conn *consul.Connection, proxy *xds.Proxy) {
	own.Watch(func() metrics.Streams {
		s := proxy.Status()
		ended := map[string]int{}
		for code, n := range s.Ended {
			ended[code.String()] = n
		}
		return metrics.Streams{Open: s.Streams, Ended: ended, Refusals: s.Refusals, Refusing: s.Refusing}
	}, conn.Ready)
}
