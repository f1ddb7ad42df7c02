package consul

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

func TestThePaceGivesWayAtOnceAndComesBackSlowly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace(400)
		want := func(what string, limit float64) {
			t.Helper()
			if got := float64(p.limiter.Limit()); got != limit {
				t.Errorf("%s: %v writes a second, want %v", what, got, limit)
			}
		}
		want("at first", 400)
		for range 16 { // all that was under way
			p.slower()
		}
		want("after one sign of too much", 200)
		for range 100 {
			p.well()
		}
		want("at the same moment", 200)
		time.Sleep(paceStep)
		for range 100 {
			p.well()
		}
		want("a step later", 220)
		for range 20 {
			time.Sleep(paceStep)
			p.slower()
		}
		want("at the least", 1)
		for range 20 {
			time.Sleep(paceStep)
			p.well()
		}
		want("after a while", 400)
	})
}

func TestTheCeilingHolds(t *testing.T) {
	t.Parallel()
	server := aServer(t, testenv.ConsulConfig{})
	list := tokens(t, server.API, 200)
	conn := mustConnect(t, reach(server, func(s *Settings) { s.MaxWritesPerSecond = 50 }))
	start := time.Now()
	if err := conn.DeleteTokens(t.Context(), list).Err(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 3800*time.Millisecond { // (200 - 5 at once) / 50
		t.Errorf("200 tokens were deleted in %s, at 50 a second", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	for i, err := range conn.DeleteTokens(ctx, list) {
		if i > 100 && err == nil {
			t.Fatalf("token %d was deleted after the end of the context", i)
		}
	}
}

// TestAServerThatRefusesSomeGetsFewer has a server that answers 429 to more than a few connections at a time.
func TestAServerThatRefusesSomeGetsFewer(t *testing.T) {
	t.Parallel()
	server := aServer(t, testenv.ConsulConfig{MaxConnections: 4})
	services := hang(t, server.API, 500)
	l := newLogins(t, server.API, "logins")
	list := make([]LoginToken, 100)
	for i := range list { // one after another
		var err error
		if list[i], err = l.token("web", taskID(i), nodeARN); err != nil {
			t.Fatal(err)
		}
	}
	conn := mustConnect(t, reach(server, func(s *Settings) { s.MaxWritesPerSecond = 400 }))
	start := time.Now()
	if err := errors.Join(conn.DeleteTokens(t.Context(), list).Err(), conn.DeregisterServices(t.Context(), nodeARN, services).Err()); err != nil {
		t.Error(err)
	}
	now := conn.pace.limiter.Limit()
	t.Logf("100 tokens and 500 services were removed in %s, at last at %v writes a second", time.Since(start), now)
	if now == conn.pace.ceiling {
		t.Error("the pace has not given way")
	}
	if left, _, err := conn.NodeServices(t.Context(), nodeARN); len(left) != 0 || err != nil {
		t.Errorf("%d services are left, %v", len(left), err)
	}
	if left, _, err := conn.LoginTokens(t.Context(), "logins", nodeARN); len(left) != 0 || err != nil {
		t.Errorf("%d tokens are left, %v", len(left), err)
	}
}

func TestOnlyWhatHasNotBeenDoneIsSentAgain(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		status int
		busy   bool
	}{
		"rate limit exceeded, try again later or against a different server": {429, true},
		"No cluster leader": {500, true},
		"rpc error making call: raft apply timeout reached":       {500, true},
		"Your IP is issuing too many concurrent connections":      {429, true},
		"apply failed: Missing node registration":                 {500, false},
		"rpc error making call: EOF":                              {500, false},
		"Permission denied: token lacks permission 'acl:write'":   {403, false},
		"<html>upstream connect error or disconnect</html>":       {http.StatusServiceUnavailable, true},
		"Unknown service ID 'web-1'. Ensure that the ID is right": {500, false},
	} {
		if got := isOverload(want.status, text); got != want.busy {
			t.Errorf("%d %q is sent again: %v", want.status, text, got)
		}
	}
}
