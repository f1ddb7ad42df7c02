package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

// get asks h for / and returns the status and the answer.
func get(t *testing.T, h http.Handler) (int, Answer) {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	var answer Answer
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		t.Fatalf("parse %q: %v", rec.Body, err)
	}
	return rec.Code, answer
}

func TestAnswerTellsWhoAnsweredAndWhomItCalled(t *testing.T) {
	t.Parallel()
	api := httptest.NewServer(handler("api", "", "t2"))
	defer api.Close()
	status, got := get(t, handler("web", api.URL, "t1"))
	want := Answer{Service: "web", Task: "t1", Called: &Call{URL: api.URL, Status: 200, Answer: &Answer{Service: "api", Task: "t2"}}}
	if diff := cmp.Diff(want, got); status != http.StatusOK || diff != "" {
		t.Errorf("status %d, answer (-want +got):\n%s", status, diff)
	}
}

func TestACallByNameTellsWhatTheNameResolvedTo(t *testing.T) {
	t.Parallel()
	api := httptest.NewServer(handler("api", "", ""))
	defer api.Close()
	_, got := get(t, handler("web", strings.Replace(api.URL, "127.0.0.1", "localhost", 1), ""))
	if got.Called == nil || !slices.Contains(got.Called.Resolved, "127.0.0.1") {
		t.Errorf("called %+v, want it resolved to 127.0.0.1", got.Called)
	}
}

func TestUnreachableUpstreamIsABadGateway(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(nil)
	gone.Close()
	status, got := get(t, handler("web", gone.URL, ""))
	if status != http.StatusBadGateway || got.Called == nil || got.Called.Error == "" {
		t.Errorf("status %d, answer %+v, want 502 with the error", status, got)
	}
}

func TestTheServerGoesOnAfterItWasToldToStop(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		serveOn string
		answers bool
	}{
		"for a second": {"", true},
		"not at all":   {"0s", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			free, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			addr := free.Addr().String()
			free.Close()
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			env := map[string]string{"LISTEN": addr, "SERVE_ON": want.serveOn}
			go func() { done <- run(ctx, nil, func(k string) string { return env[k] }) }()
			healthy := func() bool { return probe(t.Context(), addr) == nil }
			eventually.True(t, "the server has started", eventually.Soon, healthy)
			stop()
			if want.answers && !healthy() {
				t.Error("no answer right after the stop")
			}
			if err := <-done; err != nil {
				t.Errorf("run: %v", err)
			}
			if healthy() {
				t.Error("still an answer after the end")
			}
		})
	}
}

func TestArgumentsAreChecked(t *testing.T) {
	t.Parallel()
	if err := run(t.Context(), []string{"serve"}, func(string) string { return "" }); err == nil {
		t.Error("argument serve was accepted")
	}
	if err := run(t.Context(), nil, func(string) string { return "soon" }); err == nil {
		t.Error("SERVE_ON soon was accepted")
	}
}
