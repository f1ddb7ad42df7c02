package dataplane_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

// kinds answers whatever the tests ask for.
func kinds(seen *sightings, release <-chan struct{}) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		seen.saw(r.URL.Path)
		fmt.Fprint(w, n)
	})
	mux.HandleFunc("/hold", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		seen.saw("hold")
		<-release
	})
	mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		conn, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(conn, both)
	})
	return mux
}

// socket upgrades a connection, sends a line by it and returns what comes back.
func socket(at netip.AddrPort, line string) (string, error) {
	conn, err := net.DialTimeout("tcp", at.String(), eventually.Soon)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(eventually.Soon))
	fmt.Fprint(conn, "GET /socket HTTP/1.1\r\nHost: api\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	answers := bufio.NewReader(conn)
	resp, err := http.ReadResponse(answers, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Sprint(resp), err
	}
	fmt.Fprintln(conn, line)
	text, err := answers.ReadString('\n')
	return strings.TrimSpace(text), err
}

// post sends a body of a size.
func post(client *http.Client, at netip.AddrPort, path string, size int) (status int, answer string) {
	resp, err := client.Post("http://"+at.String()+path, "application/octet-stream", bytes.NewReader(make([]byte, size)))
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// resident is the memory that a process holds, in MiB.
func resident(t *testing.T, pid int) (mib int) {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	if _, err := fmt.Sscan(rest, &mib); err != nil {
		t.Fatal(err)
	}
	return mib / 1024
}

// TestWhatIsHeldForRetriesIsLittle has many requests with bodies wait for their answers at once. On a busy machine some that are too
// large to be tried again do not get that far.
func TestWhatIsHeldForRetriesIsLittle(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	release := make(chan struct{})
	seen := &sightings{of: map[string]int{}}
	apis := startInstances(t, c, 1, seen, func(k *instance) { k.answer = kinds(seen, release) })
	k := startCallers(t, c, apis[0].service)[0]
	eventually.True(t, k.service+" reaches api", eventually.Soon, func() bool { return strings.HasPrefix(ask(int(k.upstream.Port()), "/"), "200 ") })
	var all sync.WaitGroup
	defer all.Wait()
	defer close(release)
	client := &http.Client{}
	for _, row := range []struct{ requests, size, limit int }{{500, 60 << 10, 150}, {100, 900 << 10, 100}} { // the limit in MiB
		var refused atomic.Int32
		held, before := seen.times("hold"), resident(t, k.envoyPID())
		for range row.requests {
			time.Sleep(5 * time.Millisecond) // memory is asked for, not a crowd of handshakes
			all.Go(func() {
				if status, _ := post(client, k.upstream, "/hold", row.size); status == http.StatusServiceUnavailable {
					refused.Add(1)
				}
			})
		}
		eventually.True(t, "the application has all bodies", 2*eventually.Soon, func() bool { return seen.times("hold")-held+int(refused.Load()) >= row.requests })
		grown := resident(t, k.envoyPID()) - before
		t.Logf("%d bodies of %d KiB, %d of them refused: %d MiB more", row.requests, row.size>>10, refused.Load(), grown)
		if grown > row.limit || int(refused.Load()) == row.requests {
			t.Errorf("%d bodies of %d KiB cost %d MiB, want %d at most; %d were refused", row.requests, row.size>>10, grown, row.limit, refused.Load())
		}
	}
}

// TestBodiesAndUpgradesOfEverySizeAndKind has the application of one of two instances gone. Bodies of up to 64 KiB and upgrades go to
// the other one; larger bodies may be lost, by a status that tells, and are never seen twice.
func TestBodiesAndUpgradesOfEverySizeAndKind(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	seen := &sightings{of: map[string]int{}}
	apis := startInstances(t, c, 2, seen, func(k *instance) { k.answer = kinds(seen, nil) })
	k := startCallers(t, c, apis[0].service)[0]
	eventually.True(t, k.service+" reaches api", eventually.Soon, func() bool { return strings.HasPrefix(ask(int(k.upstream.Port()), "/"), "200 ") })
	client := &http.Client{Timeout: eventually.Soon}
	for _, gone := range []bool{false, true} {
		if gone {
			apis[0].leave()
		}
		for size, lost := range map[int][]int{ // statuses that are right where the application is gone
			0: nil, 1000: nil, 60 << 10: nil,
			200 << 10: {http.StatusServiceUnavailable, http.StatusInsufficientStorage}, 3 << 20: {http.StatusServiceUnavailable, http.StatusInsufficientStorage},
		} {
			statuses := map[int]int{}
			for i := range 8 {
				path := fmt.Sprintf("/%v-%d-%d", gone, size, i)
				status, answer := post(client, k.upstream, path, size)
				statuses[status]++
				if ok := status == http.StatusOK && answer == fmt.Sprint(size); !ok && !(gone && slices.Contains(lost, status)) {
					t.Errorf("gone %v: body of %d bytes: %d %s", gone, size, status, answer)
				}
				if n := seen.times(path); n > 1 || status == http.StatusOK && n != 1 {
					t.Errorf("gone %v: body of %d bytes, answered by %d: seen %d times", gone, size, status, n)
				}
			}
			t.Logf("gone %v: bodies of %d bytes: %v", gone, size, statuses)
		}
		for i := range 8 {
			line := fmt.Sprint("line", i)
			if answer, err := socket(k.upstream, line); err != nil || answer != line {
				t.Errorf("gone %v: upgrade: %s, %v", gone, answer, err)
			}
		}
	}
}
