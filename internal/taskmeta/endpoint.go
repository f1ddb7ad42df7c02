package taskmeta

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

const (
	tryTimeout  = 2 * time.Second // of one request
	tries       = 6               // of Wait, which so gives up after 15 s at the latest
	firstPause  = 100 * time.Millisecond
	stoppedPoll = 200 * time.Millisecond // ECS throttles at 40 requests a second

	maxAnswer = 4 << 20 // bytes; ten containers take some 20 KB
)

// ErrGone means that nothing listens at the endpoint: the ECS agent has taken the task down.
var ErrGone = errors.New("task metadata endpoint is gone")

// Endpoint is the metadata endpoint of one container.
type Endpoint struct {
	url    string
	client *http.Client

	mu   sync.Mutex
	last []byte // the last answer about the task, and what it says: most often the next one is the same
	task Task
}

// New takes the value of Variable.
func New(uri string) (*Endpoint, error) {
	if uri == "" {
		return nil, fmt.Errorf("%s is not set\nhint: ECS sets it in every container of a task; the agent does not run outside of one", Variable)
	}
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%s: %q is not a URL", Variable, uri)
	}
	return &Endpoint{
		url: strings.TrimRight(uri, "/") + "/task",
		// One idle connection is all that a poller needs, and no proxy stands between a task and its metadata.
		client: &http.Client{Timeout: tryTimeout, Transport: &http.Transport{MaxIdleConns: 1, IdleConnTimeout: 90 * time.Second}},
	}, nil
}

// Read asks the endpoint at uri until it answers, as Wait does.
func Read(ctx context.Context, uri string) (Task, error) {
	e, err := New(uri)
	if err != nil {
		return Task{}, err
	}
	defer e.client.CloseIdleConnections()
	return e.Wait(ctx)
}

// Wait asks until the endpoint answers well, a few times: ECS throttles it and may be late with it.
func (e *Endpoint) Wait(ctx context.Context) (Task, error) {
	pause := firstPause
	for try := 1; ; try++ {
		task, err := e.Task(ctx)
		if err == nil || ctx.Err() != nil || try == tries {
			return task, err
		}
		if !sleep.For(ctx, pause) {
			return Task{}, err
		}
		pause *= 2
	}
}

// AwaitStopped asks until every container but those named has stopped. Its error is ErrGone where the endpoint has gone first, as it
// does with the task; when ctx ends, that of ctx, and running are those that had not stopped at the last answer.
func (e *Endpoint) AwaitStopped(ctx context.Context, except ...string) (running []string, err error) {
	tick := time.NewTicker(stoppedPoll)
	defer tick.Stop()
	for {
		task, err := e.Task(ctx)
		if err == nil {
			running = task.Unstopped(except...)
		}
		if err == nil && len(running) == 0 || errors.Is(err, ErrGone) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return running, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// Task asks once. What it returns is not to be written to.
func (e *Endpoint) Task(ctx context.Context) (Task, error) {
	body, err := e.get(ctx, e.url)
	if err != nil {
		return Task{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.last != nil && bytes.Equal(body, e.last) {
		return e.task, nil
	}
	task, err := Parse(body)
	if err != nil {
		return Task{}, err
	}
	e.last, e.task = body, task
	return task, nil
}

// get asks for a document of the endpoint's once.
func (e *Endpoint) get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("read task metadata: %w", err)
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read task metadata: %w", err)
	}
	defer resp.Body.Close()
	var buffer bytes.Buffer
	buffer.Grow(int(min(max(resp.ContentLength, 0), maxAnswer)) + bytes.MinRead)
	_, err = buffer.ReadFrom(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read task metadata: GET %s: %w", url, err)
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone:
		return nil, fmt.Errorf("read task metadata: GET %s: %s: %w", url, resp.Status, ErrGone)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("read task metadata: GET %s: %s", url, resp.Status)
	}
	return buffer.Bytes(), nil
}
