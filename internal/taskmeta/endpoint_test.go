package taskmeta_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/required"
)

const good = `{"Cluster":"c","TaskARN":"arn:aws:ecs:us-east-1:1:task/c/abc"}`

// serve answers one request after the other as the handlers say, the last one for ever.
func serve(t *testing.T, answers ...http.HandlerFunc) (uri string, asked *atomic.Int32) {
	t.Helper()
	asked = &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v4/x/task" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		n := int(asked.Add(1))
		answers[min(n, len(answers))-1](w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/v4/x", asked
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(good)) }

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", code) }
}

func truncated(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = w.Write([]byte(good[:20]))
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}

func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestReadOutlastsABadMoment(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]http.HandlerFunc{
		"throttled": status(429), "broken": status(500), "late": status(404), "slow": hangs, "cut off": truncated,
		"cut JSON": says(good[:20]), "HTML": says("<html><body>Too Many Requests</body></html>"), "empty": says(""), "another's": says(`{"name":"x"}`),
		"wrong types": says(`{"TaskARN":7}`), "endless": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"Family":"`))
			for range 6 { // MiB
				_, _ = w.Write(bytes.Repeat([]byte("x"), 1<<20))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			uri, asked := serve(t, bad, ok)
			task, err := taskmeta.Read(t.Context(), uri+"/")
			if err != nil || task.ID != "abc" || asked.Load() != 2 {
				t.Errorf("task %q after %d requests, %v", task.ID, asked.Load(), err)
			}
		})
	}
}

func TestAPollerSeesWhatHasChanged(t *testing.T) {
	t.Parallel()
	is := func(status string) http.HandlerFunc {
		return says(strings.TrimSuffix(good, "}") + `,"KnownStatus":"` + status + `"}`)
	}
	uri, _ := serve(t, is("RUNNING"), is("RUNNING"), status(429), is("STOPPED"), is("STOPPED"), is("RUNNING"))
	e, err := taskmeta.New(uri)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"RUNNING", "RUNNING", "", "STOPPED", "STOPPED", "RUNNING"} {
		task, err := e.Task(t.Context())
		if (err != nil) != (want == "") || task.KnownStatus != want {
			t.Errorf("answer %d: status %q, error %v, want %q", i+1, task.KnownStatus, err, want)
		}
	}
}

func TestTheEndOfTheApplicationIsWaitedFor(t *testing.T) {
	t.Parallel()
	is := func(status string) http.HandlerFunc {
		return says(strings.TrimSuffix(good, "}") + `,"Containers":[{"Name":"app","Type":"NORMAL","KnownStatus":"` + status + `","DesiredStatus":"STOPPED"},
			{"Name":"ours","Type":"NORMAL","KnownStatus":"RUNNING","DesiredStatus":"STOPPED"}]}`)
	}
	for name, c := range map[string]struct {
		answers []http.HandlerFunc
		running []string
		err     error
	}{
		"it stops":         {[]http.HandlerFunc{is("RUNNING"), status(429), is("STOPPED")}, nil, nil},
		"the task is gone": {[]http.HandlerFunc{is("RUNNING"), status(404)}, nil, taskmeta.ErrGone},
		"it goes on":       {[]http.HandlerFunc{is("RUNNING"), status(500)}, []string{"app"}, context.DeadlineExceeded},
		"nothing is known": {[]http.HandlerFunc{status(500)}, nil, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			uri, _ := serve(t, c.answers...)
			e, err := taskmeta.New(uri)
			if err != nil {
				t.Fatal(err)
			}
			limit := eventually.Soon
			if c.err == context.DeadlineExceeded {
				limit = time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			if running, err := e.AwaitStopped(ctx, "ours"); !slices.Equal(running, c.running) || !errors.Is(err, c.err) {
				t.Errorf("got %v, %v, want %v, %v", running, err, c.running, c.err)
			}
		})
	}
}

func TestReadGivesUpWithTheReason(t *testing.T) {
	t.Parallel()
	uri, asked := serve(t, status(500))
	_, err := taskmeta.Read(t.Context(), uri)
	if err == nil || !strings.Contains(err.Error(), "read task metadata: GET "+uri+"/task: 500 Internal Server Error") {
		t.Errorf("got %v", err)
	}
	if asked.Load() < 3 || asked.Load() > 10 {
		t.Errorf("gave up after %d requests", asked.Load())
	}
}

func TestReadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	uri, _ := serve(t, hangs)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := taskmeta.Read(ctx, uri); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > 1900*time.Millisecond {
		t.Errorf("took %s", took)
	}
}

func TestTheReasonIsThatOfTheLastAnswer(t *testing.T) {
	t.Parallel()
	for want, bad := range map[string]http.HandlerFunc{
		"429 Too Many Requests":          status(429),
		"unexpected EOF":                 truncated,
		"unexpected end of JSON input":   says(good[:20]),
		"invalid character '<'":          says("<html>"),
		"task metadata endpoint is gone": status(410),
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			uri, _ := serve(t, bad)
			endpoint, err := taskmeta.New(uri)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := endpoint.Task(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

func TestTheEndpointMayHaveAnIPv6Address(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		required.Missing(t, "this machine has no IPv6: ", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(ok)}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	if task, err := taskmeta.Read(t.Context(), "http://"+listener.Addr().String()+"/v4/x"); err != nil || task.ID != "abc" {
		t.Errorf("task %q, %v", task.ID, err)
	}
}

// TestNoProxyIsAskedForTheMetadata has one that would answer, and no endpoint.
func TestNoProxyIsAskedForTheMetadata(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(ok))
	t.Cleanup(proxy.Close)
	t.Setenv("HTTP_PROXY", proxy.URL)
	endpoint, err := taskmeta.New("http://metadata.invalid/v4/x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := endpoint.Task(t.Context()); err == nil || !strings.Contains(err.Error(), "lookup metadata.invalid") {
		t.Errorf("got %v, want it not to be found", err)
	}
}

func TestMetadataThatAreGoneAreTold(t *testing.T) {
	t.Parallel()
	uri, _ := serve(t, status(404))
	endpoint, err := taskmeta.New(uri)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := endpoint.Task(t.Context()); !errors.Is(err, taskmeta.ErrGone) {
		t.Errorf("got %v, want ErrGone", err)
	}
}

func TestABadAddressIsNamed(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"":            "ECS_CONTAINER_METADATA_URI_V4 is not set\nhint: ",
		"169.254.1.1": `ECS_CONTAINER_METADATA_URI_V4: "169.254.1.1" is not a URL`,
		"ftp://x/v4":  `ECS_CONTAINER_METADATA_URI_V4: "ftp://x/v4" is not a URL`,
	} {
		if _, err := taskmeta.Read(t.Context(), uri); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", uri, err, want)
		}
	}
}
