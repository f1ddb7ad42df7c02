package healthsync

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
)

func TestAProxyIsJudgedByItsAnswersAndNotByOneSilence(t *testing.T) {
	t.Parallel()
	const r, n, s = "ready", "not ready", "silent"
	for name, c := range map[string]struct{ answers, want []string }{
		"starts":                         {[]string{n, s, s, r}, []string{n, n, n, r}},
		"is silent for a moment":         {[]string{r, s, s, r, s, s, r}, []string{r, r, r, r, r, r, r}},
		"is silent for good":             {[]string{r, s, s, s, s}, []string{r, r, r, n, n}},
		"is silent, and comes back":      {[]string{r, s, s, s, s, r, s}, []string{r, r, r, n, n, r, r}},
		"goes":                           {[]string{r, n, s, r}, []string{r, n, n, r}},
		"is silent for a while and goes": {[]string{r, s, n}, []string{r, r, n}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				answers := map[string]error{r: nil, n: errors.New("connection refused"), s: os.ErrDeadlineExceeded}
				next := 0
				w := &proxyWatch{trouble: n, ask: func(context.Context) error { next++; return answers[c.answers[next-1]] }}
				var got []string
				for range c.answers {
					problem := w.problem(t.Context())
					if problem == "" {
						problem = r
					}
					got = append(got, problem)
					time.Sleep(proxyAgain)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("%v was taken for %v, want %v", c.answers, got, c.want)
				}
			})
		})
	}
}

func TestAProxyIsAskedSeldomWhileItIsReady(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked, answer := 0, error(nil)
		w := &proxyWatch{ask: func(context.Context) error { asked++; return answer }}
		look := func(during time.Duration) (questions int) {
			asked = 0
			for begin := time.Now(); time.Since(begin) < during; time.Sleep(slowPoll) {
				w.problem(t.Context())
			}
			return asked
		}
		if n := look(time.Minute); n != 10 {
			t.Errorf("a ready proxy was asked %d times in a minute, want 10", n)
		}
		answer = errors.New("connection refused")
		if n := look(time.Minute); n < 25 {
			t.Errorf("one that is not ready was asked %d times in a minute, want at every look", n)
		}
	})
}

func TestAnEnvoyThatHangsIsSilentAndOneThatIsGoneIsNot(t *testing.T) {
	t.Parallel()
	hung, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort(hung.Addr().String())
	if err := envoy.NewReadiness(at).Check(t.Context()); !envoy.IsSilence(err) {
		t.Errorf("%v is not taken for silence", err)
	}
	hung.Close()
	if err := envoy.NewReadiness(at).Check(t.Context()); err == nil || envoy.IsSilence(err) {
		t.Errorf("%v is taken for silence", err)
	}
}
