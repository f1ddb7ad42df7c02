package hammer_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/consulecs/terraform-provider-consulecs/internal/bench/hammer"
)

func TestFlatAsksAgainWithEachAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := func() error { time.Sleep(10 * time.Millisecond); return nil }
		r, err := hammer.Flat(t.Context(), time.Second, []hammer.Ask{slow, slow})
		if err != nil {
			t.Fatal(err)
		}
		n := len(r.Latency) // each asker may begin once more in the instant in which the time is over
		if n < 200 || n > 202 || r.Rate() < 198 || r.Rate() > 202 || r.Quantile(0.5) != 10*time.Millisecond || r.Milliseconds(0.99) != 10 {
			t.Errorf("got %s of %d answers, want 200/s in 10 ms each", r, n)
		}
	})
}

func TestSteadyCountsWhatAStallKeptWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		stalls := func() error {
			if asked++; asked == 1 {
				time.Sleep(500 * time.Millisecond)
			}
			return nil
		}
		r, err := hammer.Steady(t.Context(), time.Second, 100, []hammer.Ask{stalls})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(r.Latency); n < 99 || n > 102 {
			t.Errorf("%d answers, want one each 10 ms", n)
		}
		if r.Quantile(1) != 500*time.Millisecond || r.Quantile(0.75) < 200*time.Millisecond || r.Quantile(0.25) != 0 {
			t.Errorf("p25 %s, p75 %s, longest %s: want the stall in the questions that were due in it", r.Quantile(0.25), r.Quantile(0.75), r.Quantile(1))
		}
	})
}

func TestFailuresAreToldAndEndTheirAsker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		good := func() error { time.Sleep(100 * time.Millisecond); return nil }
		r, err := hammer.Flat(t.Context(), time.Second, []hammer.Ask{good, func() error { return broken }})
		if err != nil || r.Failed != 1 || !errors.Is(r.Err, broken) || len(r.Latency) < 10 || len(r.Latency) > 11 {
			t.Errorf("got %s, %v, %v", r, r.Err, err)
		}
		if _, err := hammer.Flat(t.Context(), time.Second, []hammer.Ask{func() error { return broken }}); !errors.Is(err, broken) {
			t.Errorf("without any answer: got %v", err)
		}
	})
}

func TestAnEndedContextEndsTheRun(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := hammer.Flat(ctx, time.Hour, []hammer.Ask{func() error { return nil }}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestHTTPReadsWholeAnswersOnOneConnection(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/here" {
			http.Error(w, "where?", http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, strings.Repeat("x", 1000))
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	ask := hammer.HTTP(dial(t, "tcp", server.Listener.Addr().String()), "/here")
	for range 20 {
		if err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	lost := hammer.HTTP(dial(t, "tcp", server.Listener.Addr().String()), "/lost")
	if err := lost(); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("got %v, want the status", err)
	}
}

func TestDNSWantsRecords(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		answer := new(dns.Msg).SetReply(q)
		if q.Question[0].Name == "here.consul." {
			rr, _ := dns.NewRR("here.consul. 0 IN A 10.0.0.1") // a constant
			answer.Answer = append(answer.Answer, rr)
		}
		_ = w.WriteMsg(answer) // the client tells what is missing
	})}
	go func() { _ = server.ActivateAndServe() }() // ends with Shutdown
	defer server.Shutdown()
	for name, good := range map[string]bool{"here.consul": true, "lost.consul": false} {
		ask, err := hammer.DNS(dial(t, "udp", conn.LocalAddr().String()), name)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := ask(); (err == nil) != good {
				t.Errorf("%s: got %v, want ok %t", name, err, good)
			}
		}
	}
}

func dial(t *testing.T, network, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
