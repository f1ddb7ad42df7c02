package dataplane_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/procs"
)

// app is the application of service api.
func app(t *testing.T) netip.AddrPort {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "from api") }))
	t.Cleanup(server.Close)
	return netip.MustParseAddrPort(server.Listener.Addr().String())
}

// get asks on a fresh connection.
func get(addr netip.AddrPort) string {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + addr.String())
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, " ", string(body))
}

// pair is web, which calls api at upstream through two proxies.
func pair(t *testing.T, c *testenv.Consul) (web, apiTask *task, upstream netip.AddrPort) {
	t.Helper()
	web, apiTask, upstream = newTask(t, c), newTask(t, c), freeport.Loopback(t)
	apiTask.register(t, c, app(t))
	web.register(t, c, freeport.Loopback(t), api.Upstream{DestinationName: apiTask.service, LocalBindAddress: "127.0.0.1", LocalBindPort: int(upstream.Port())})
	web.run(t)
	apiTask.run(t)
	web.awaitReady(t)
	apiTask.awaitReady(t)
	return web, apiTask, upstream
}

func TestTrafficObeysAnIntentionAlsoAfterConsulRestarted(t *testing.T) {
	t.Parallel()
	c := startConsul(t)
	t.Cleanup(func() { _ = c.Stop() })
	web, apiTask, upstream := pair(t, c)
	if got := get(upstream); !strings.HasPrefix(got, "403 ") {
		t.Errorf("without intention: %s", got)
	}
	intend(t, c, web, apiTask, api.IntentionActionAllow)
	eventually.True(t, "web reaches api", eventually.Soon, func() bool { return get(upstream) == "200 from api" })

	c.Kill()
	if got := get(upstream); got != "200 from api" {
		t.Errorf("without Consul: %s", got)
	}
	if err := c.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	intend(t, c, web, apiTask, api.IntentionActionDeny)
	eventually.True(t, "web is refused again", eventually.Soon, func() bool { return strings.HasPrefix(get(upstream), "403 ") })

	for _, k := range []*task{web, apiTask} {
		pid := k.envoyPID()
		k.metadata.stopApp()
		k.signal(t, syscall.SIGTERM)
		if code, _ := k.awaitExit(t, 10*time.Second); code != 0 {
			t.Errorf("%s: exit code %d", k.service, code)
		}
		if !procs.Ended(pid) {
			t.Errorf("%s: Envoy runs on", k.service)
		}
	}
}

func TestTheProxyServesUntilTheApplicationHasStopped(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	web, apiTask, upstream := pair(t, c)
	intend(t, c, web, apiTask, api.IntentionActionAllow)
	eventually.True(t, "web reaches api", eventually.Soon, func() bool { return get(upstream) == "200 from api" })
	apiTask.signal(t, syscall.SIGTERM)
	for range 50 { // a second of requests
		if got := get(upstream); got != "200 from api" {
			t.Fatalf("while the application runs: %s", got)
		}
		time.Sleep(20 * time.Millisecond)
	}
	apiTask.metadata.stopApp()
	if code, _ := apiTask.awaitExit(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// readyTask is a lone task whose proxy is ready.
func readyTask(t *testing.T, c *testenv.Consul, changes ...func(*task)) *task {
	t.Helper()
	k := newTask(t, c)
	for _, change := range changes {
		change(k)
	}
	k.register(t, c, freeport.Loopback(t))
	k.run(t)
	k.awaitReady(t)
	return k
}

func TestStopping(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	for name, s := range map[string]struct {
		change func(*task)
		then   func(*testing.T, *task) // after SIGTERM; nil: nothing
		least  time.Duration
		said   string
	}{
		"an application that never stops": {
			change: func(k *task) { k.file.Envoy.StopWithinSeconds = 4 },
			least:  1500 * time.Millisecond, said: "running=[\"app\"]",
		},
		"no metadata": {
			change: func(k *task) { k.metadata.url = "" },
			said:   "cannot tell whether the application runs",
		},
		"a second SIGTERM": {
			change: func(*task) {},
			then: func(t *testing.T, k *task) {
				eventually.True(t, "the first is heard", eventually.Soon, func() bool { return strings.Contains(k.output.String(), "told to stop") })
				k.signal(t, syscall.SIGTERM)
			},
			said: "envoy stopped",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := readyTask(t, c, s.change)
			k.signal(t, syscall.SIGTERM)
			if s.then != nil {
				s.then(t, k)
			}
			code, took := k.awaitExit(t, 15*time.Second) // the file's own time is 25 s
			if code != 0 || took < s.least {
				t.Errorf("exit code %d after %s, want 0 after %s", code, took, s.least)
			}
			if !strings.Contains(k.output.String(), s.said) {
				t.Errorf("log lacks %q", s.said)
			}
		})
	}
}

func TestAnEnvoyThatEndsByItselfEndsTheAgent(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	for name, s := range map[string]struct {
		signal syscall.Signal
		code   int
		said   string
	}{
		"killed":    {syscall.SIGKILL, 137, "ended: envoy ended by itself: envoy: killed by signal: killed, last lines:\n\t"},
		"ends well": {syscall.SIGTERM, 1, "ended: envoy ended by itself: exit code 0, last lines:\n\t"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := readyTask(t, c)
			if err := syscall.Kill(k.envoyPID(), s.signal); err != nil {
				t.Fatal(err)
			}
			if code, _ := k.awaitExit(t, 10*time.Second); code != s.code || !strings.Contains(k.output.String(), s.said) {
				t.Errorf("exit code %d, want %d and %q in the log", code, s.code, s.said)
			}
		})
	}
}

// ECS has no health check of the container to go by where nobody waits for it: see package taskdef.
func TestAnEnvoyThatHangsEndsTheAgent(t *testing.T) {
	t.Parallel()
	k := readyTask(t, sharedConsul(t))
	pid := k.envoyPID()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	code, took := k.awaitExit(t, 3*time.Minute)
	t.Logf("ended %s after Envoy was stopped", took.Round(time.Second))
	const said = "ended: envoy hangs: it is alive and has left 10 questions in a row without an answer"
	if code == 0 || !strings.Contains(k.output.String(), said) {
		t.Errorf("exit code %d, want one that is not 0, and %q in the log", code, said)
	}
	eventually.True(t, "Envoy is gone", eventually.Soon, func() bool { return procs.Ended(pid) })
}

func TestEnvoyDiesWithAKilledAgent(t *testing.T) {
	t.Parallel()
	k := readyTask(t, sharedConsul(t))
	pid := k.envoyPID()
	k.signal(t, syscall.SIGKILL)
	eventually.True(t, "Envoy is gone", eventually.Soon, func() bool { return procs.Ended(pid) })
}

func TestAProxyThatIsRegisteredLateIsWaitedFor(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	k := newTask(t, c)
	k.run(t)
	eventually.True(t, "the agent has asked in vain", eventually.Soon, func() bool { return strings.Contains(k.output.String(), "NotFound") })
	k.register(t, c, freeport.Loopback(t))
	k.awaitReady(t)
	eventually.True(t, "the first configuration is noticed", eventually.Soon, func() bool { return strings.Contains(k.output.String(), "first configuration applied") })
}

func TestABusyUpstreamPortEndsTheAgent(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	c := sharedConsul(t)
	k := newTask(t, c)
	k.register(t, c, freeport.Loopback(t), api.Upstream{DestinationName: "other", LocalBindPort: busy.Addr().(*net.TCPAddr).Port})
	k.run(t)
	if code, _ := k.awaitExit(t, 20*time.Second); code != 1 || !strings.Contains(k.output.String(), "Address already in use") || !strings.Contains(k.output.String(), "hint: ") {
		t.Errorf("exit code %d, want 1, the reason and a hint in the log", code)
	}
}

func TestABusyReadyPortIsNamed(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	c := sharedConsul(t)
	k := newTask(t, c)
	k.file.Envoy.ReadyBindPort = busy.Addr().(*net.TCPAddr).Port
	k.register(t, c, freeport.Loopback(t))
	k.run(t)
	if code, _ := k.awaitExit(t, 20*time.Second); code != 1 || !strings.Contains(k.output.String(), "Address already in use") {
		t.Errorf("exit code %d, want 1 and the reason in the log", code)
	}
}
