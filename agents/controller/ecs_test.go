package controller

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/consulecs/terraform-provider-consulecs/internal/reap"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskverdict"
)

// clockedECS answers from memory, so that a test can play with the clock, and keeps when it was asked. It lists pages of tasks, the
// last of which have stopped, and throttles some requests.
type clockedECS struct {
	pages    int
	throttle func(request int) bool

	mu   sync.Mutex
	page int
	at   []time.Time
}

func (e *clockedECS) Do(req *http.Request) (*http.Response, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.at = append(e.at, time.Now())
	status, body := http.StatusOK, `{"tasks":[],"failures":[]}`
	switch {
	case e.throttle != nil && e.throttle(len(e.at)):
		status, body = http.StatusBadRequest, `{"__type":"ThrottlingException"}`
	case strings.HasSuffix(req.Header.Get("X-Amz-Target"), ".ListTasks"):
		e.page++
		body = fmt.Sprintf(`{"taskArns":["%s%032d"],"nextToken":"more"}`, arnPrefix, e.page)
		if e.page%e.pages == 0 {
			body = strings.Replace(body, "more", "", 1)
		}
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

// most is how many requests came within a second, at most, and how long all took.
func (e *clockedECS) most() (inASecond int, all time.Duration) {
	for i, from := range e.at {
		n := 0
		for _, at := range e.at[i:] {
			if at.Sub(from) < time.Second-time.Millisecond { // limiters round
				n++
			}
		}
		inASecond = max(inASecond, n)
	}
	return inASecond, e.at[len(e.at)-1].Sub(e.at[0])
}

// gone is a Consul that holds nothing but what tasks that have stopped left.
type gone struct{ tasks int }

func (g gone) All(context.Context) (map[string]reap.Holding, error) {
	held := map[string]reap.Holding{}
	for i := range g.tasks {
		id := fmt.Sprintf("f%031d", i)
		held[id] = reap.Holding{TaskID: id}
	}
	return held, nil
}

func (gone) Of(context.Context, []string) (map[string]reap.Holding, error) { return nil, nil }

func (gone) Remove(context.Context, []reap.Removal) ([]reap.Removal, error) { return nil, nil }

func TestAFullLookNeverAsksECSMoreThanTwiceInASecond(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		pages, stopped, tagged int
		ecsClusters            int
		throttle               func(request int) bool
		requests               int           // of ECS
		within                 time.Duration // two of them a second, the first two at once
	}{
		"of a small ECS cluster":           {pages: 1, stopped: 5, requests: 2, within: 0},
		"of a thousand tasks, all stopped": {pages: 1, stopped: 990, requests: 11, within: 5 * time.Second},
		"of many pages":                    {pages: 20, stopped: 99, requests: 21, within: 10 * time.Second},
		"which reads tags":                 {pages: 3, stopped: 198, tagged: 3, requests: 6, within: 2 * time.Second},
		"of three ECS clusters":            {pages: 2, stopped: 99, ecsClusters: 3, requests: 9, within: 4 * time.Second},
		"whose every second request is throttled": {
			pages: 5, stopped: 495, throttle: func(request int) bool { return request%2 == 1 }, requests: 20, within: 40 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := &clockedECS{pages: tc.pages, throttle: tc.throttle}
				looks, urgent := taskverdict.Paced(clockedConfig(e))
				var clusters []string
				for i := range max(1, tc.ecsClusters) {
					clusters = append(clusters, fmt.Sprintf("arn:aws:ecs:us-east-1:123456789012:cluster/mesh-%d", i))
				}
				for _, view := range newECSViews(looks, urgent, clusters) {
					engine := reap.Engine{Catalog: gone{tc.stopped}, ECS: view, Urgent: view.forEvents()}
					if tc.tagged > 0 {
						engine.Listed = func(ctx context.Context, running map[string]bool) error {
							_, err := view.Namespaces(ctx, running, "default")
							return err
						}
					}
					_ = engine.Sync(t.Context()) // the answers prove nothing, which is no concern here
				}
				inASecond, took := e.most()
				t.Logf("%d requests, %d in a second, within %s", len(e.at), inASecond, took)
				if len(e.at) != tc.requests || inASecond > taskverdict.LooksPerSecond || took > tc.within {
					t.Errorf("%d requests, up to %d in a second, within %s; want %d, at most %d, within %s", len(e.at), inASecond, took, tc.requests, taskverdict.LooksPerSecond, tc.within)
				}
			})
		})
	}
}

func TestAThousandDeathsDoNotWaitForAFullLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &clockedECS{pages: 100}
		looks, urgent := taskverdict.Paced(clockedConfig(e))
		view := newECSViews(looks, urgent, []string{"mesh"})[0]
		looked := make(chan struct{})
		go func() {
			defer close(looked)
			if _, err := view.Running(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		time.Sleep(10 * time.Second)
		began := time.Now()
		for range taskverdict.UrgentAtOnce {
			if _, err := view.forEvents().Describe(t.Context(), []string{strings.Repeat("0", 32)}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("while a full look is under way, a thousand tasks are described within %s, want at once", took)
		}
		<-looked
	})
}

func clockedConfig(e *clockedECS) aws.Config {
	return aws.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), HTTPClient: e}
}
