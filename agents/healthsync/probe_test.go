package healthsync

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

func TestECSsVerdictRulesOverTheProbe(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		health taskmeta.Health
		probed map[string]string
		want   consul.CheckStatus
		output string
	}{
		"no verdict yet, ready":      {taskmeta.HealthUnknown, map[string]string{"app": ""}, consul.Passing, `container "app" passes its readiness probe`},
		"no verdict yet, not ready":  {taskmeta.HealthUnknown, map[string]string{"app": "refused"}, consul.Critical, `container "app" is not ready: refused`},
		"no verdict ever, ready":     {taskmeta.HealthNone, map[string]string{"app": ""}, consul.Passing, `container "app" passes its readiness probe`},
		"no verdict ever, not ready": {taskmeta.HealthNone, map[string]string{"app": "refused"}, consul.Critical, `container "app" is not ready: refused`},
		"ECS says well":              {taskmeta.Healthy, map[string]string{"app": "refused"}, consul.Passing, `container "app" is HEALTHY in ECS`},
		"ECS says ill":               {taskmeta.Unhealthy, map[string]string{"app": ""}, consul.Critical, `container "app" is UNHEALTHY in ECS`},
		"probe of another":           {taskmeta.HealthUnknown, map[string]string{"log": ""}, consul.Critical, `container "app" is UNKNOWN in ECS`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			task := taskmeta.Task{Containers: []taskmeta.Container{running(mesh.ContainerDataplane, taskmeta.Healthy), running("app", tc.health)}}
			for i, c := range judge(born("app"), task, "", tc.probed) {
				if c.Status != tc.want {
					t.Errorf("check %s is %s, want %s", c.ID, c.Status, tc.want)
				}
				if i == 0 && !strings.Contains(c.Output, tc.output) {
					t.Errorf("output %q, want %q", c.Output, tc.output)
				}
			}
		})
	}
}

// answering is a listener of each kind, and a way to make it ready or not.
func answering(t *testing.T, kind string) (port int, ready func(bool)) {
	t.Helper()
	var well atomic.Bool
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port = listener.Addr().(*net.TCPAddr).Port
	switch kind {
	case "http":
		server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !well.Load() || r.URL.String() != "/ready?deep=1" {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			http.Redirect(w, r, "http://nowhere.invalid/", http.StatusFound) // an answer, not to be followed
		})}}
		server.Start()
		t.Cleanup(server.Close)
		return port, well.Store
	case "grpc":
		server, verdict := grpc.NewServer(), health.NewServer()
		grpc_health_v1.RegisterHealthServer(server, verdict)
		go func() { _ = server.Serve(listener) }()
		t.Cleanup(server.Stop)
		return port, func(well bool) {
			status := grpc_health_v1.HealthCheckResponse_NOT_SERVING
			if well {
				status = grpc_health_v1.HealthCheckResponse_SERVING
			}
			verdict.SetServingStatus("shop.Cart", status)
		}
	}
	listener.Close()
	return port, func(well bool) {
		if well {
			l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { l.Close() })
		}
	}
}

func TestEachKindOfProbeTellsReadyFromNot(t *testing.T) {
	t.Parallel()
	for kind, tc := range map[string]struct {
		probe agentconfig.ReadinessProbe
		want  string // of the problem
	}{
		"http": {agentconfig.ReadinessProbe{Path: "/ready?deep=1"}, "503 Service Unavailable"},
		"tcp":  {agentconfig.ReadinessProbe{}, "connection refused"},
		"grpc": {agentconfig.ReadinessProbe{Service: "shop.Cart"}, "NOT_SERVING"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			port, ready := answering(t, kind)
			tc.probe.Container, tc.probe.Type, tc.probe.Port = "app", kind, port
			task := taskmeta.Task{Containers: []taskmeta.Container{running("app", taskmeta.HealthUnknown)}}
			probes := newProbes(agentconfig.Config{ReadinessProbes: []agentconfig.ReadinessProbe{tc.probe}})
			ready(false)
			if problem := probes.ask(t.Context(), task)["app"]; !strings.Contains(problem, tc.want) || !probes.pending() {
				t.Errorf("not ready: %q, want %q", problem, tc.want)
			}
			ready(true)
			if problem, asked := probes.ask(t.Context(), task)["app"]; problem != "" || !asked || probes.pending() {
				t.Errorf("ready: %q", problem)
			}
		})
	}
}

func TestAProbeThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	hangs, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hangs.Close() })
	probes := newProbes(agentconfig.Config{ReadinessProbes: []agentconfig.ReadinessProbe{
		{Container: "app", Type: "http", Port: hangs.Addr().(*net.TCPAddr).Port},
	}})
	start := time.Now()
	problem := probes.ask(t.Context(), taskmeta.Task{Containers: []taskmeta.Container{running("app", taskmeta.HealthUnknown)}})["app"]
	if took := time.Since(start); problem == "" || took > 30*time.Second {
		t.Errorf("%q after %s", problem, took)
	}
}

func TestAProbedTaskPassesLongBeforeECSHasAVerdict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings(running(mesh.ContainerDataplane, taskmeta.HealthUnknown), running("app", taskmeta.HealthUnknown))
		m, tries := s.mirror(), 0
		m.probes = probes{"app": {try: func(context.Context) error {
			tries++
			if time.Since(s.start) < 730*time.Millisecond {
				return errors.New("refused")
			}
			return nil
		}}}
		s.play(t, m, func() {
			s.after(850*time.Millisecond, func() {
				if passing, critical := s.statuses(); passing != 3 || critical != 0 {
					t.Errorf("%d checks pass, %d are critical; want all to pass %s after the start", passing, critical, time.Since(s.start))
				}
				if tries < 7 || tries > 10 {
					t.Errorf("%d tries within 850 ms, want one each 100 ms", tries)
				}
				tries = 0
			})
			s.after(time.Minute, func() {
				if tries < 9 || tries > 11 {
					t.Errorf("%d tries in a minute, want one each 6 s", tries)
				}
				tries = 0
				s.task.Containers[1].Health = taskmeta.Healthy
			})
			s.after(time.Minute, func() {
				if tries > 1 {
					t.Errorf("%d tries after ECS's verdict, want none", tries)
				}
				if passing, _ := s.statuses(); passing != 3 {
					t.Errorf("%d checks pass, want all", passing)
				}
			})
		})
	})
}

func TestAProbedContainerFailsOnlyAfterThreeFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		task := taskmeta.Task{Containers: []taskmeta.Container{running("app", taskmeta.HealthNone)}}
		var err error
		ps := probes{"app": {try: func(context.Context) error { return err }}}
		step := func(fails bool, wantProblem bool) {
			t.Helper()
			err = nil
			if fails {
				err = errors.New("refused")
			}
			time.Sleep(probeAgain + time.Millisecond)
			if problem := ps.ask(t.Context(), task)["app"]; (problem != "") != wantProblem {
				t.Errorf("problem %q, want one: %t", problem, wantProblem)
			}
		}
		step(false, false)
		step(true, false)
		step(true, false)
		step(false, false) // which counts anew
		step(true, false)
		step(true, false)
		step(true, true)
		step(false, false)
		task.Containers[0].RestartCount = 1 // another run owes nothing to the last one's readiness
		step(true, true)
	})
}
