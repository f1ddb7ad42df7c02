package fleet_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
)

func TestALoadTellsKeptConnectionsFromOthers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }))
	defer server.Close()
	for _, kept := range []bool{true, false} {
		load := fleet.Traffic{URL: server.URL, Rate: 100, Kept: kept}.Apply(t.Context(), 20)
		if load.Sent != 20 || len(load.Latency) != 20 || len(load.Failed) != 0 || kept == (load.Dialed == load.Sent) {
			t.Errorf("kept %t: %s", kept, load)
		}
	}
}

// The client would hide it: it sends such a request again, on another connection.
func TestALoadCountsARequestWhoseKeptConnectionWasClosed(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if seen[r.RemoteAddr] {
			panic(http.ErrAbortHandler) // closes the connection without an answer
		}
		seen[r.RemoteAddr] = true
		fmt.Fprintln(w, "ok")
	}))
	defer server.Close()
	load := fleet.Traffic{URL: server.URL, Rate: 10, Kept: true}.Apply(t.Context(), 4)
	if len(load.Failed) == 0 || len(load.Failed)+len(load.Latency) != load.Sent {
		t.Errorf("got %s, want every request that came second on its connection to count as failed", load)
	}
}
