package world

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/api"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/eventbus"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// KillTask kills every container of a task at once, as the loss of its host would.
func (a Address) KillTask(ctx context.Context, taskARN string) error {
	return a.Kill(ctx, api.KillRequest{Task: taskARN})
}

// Kill sends a signal to one container of a task or to all.
func (a Address) Kill(ctx context.Context, what api.KillRequest) error {
	return a.operate(ctx, http.MethodPost, "/_localecs/kill", what, nil)
}

// Timeline tells when each container of a task was created, started and ended.
func (a Address) Timeline(ctx context.Context, taskARN string) ([]engine.ContainerRun, error) {
	var line api.Timeline
	err := a.operate(ctx, http.MethodGet, "/_localecs/tasks/"+url.PathEscape(taskARN), nil, &line)
	return line.Containers, err
}

// ContainerStarted is when a container of a task was first started.
func (a Address) ContainerStarted(ctx context.Context, taskARN, container string) (time.Time, error) {
	runs, err := a.Timeline(ctx, taskARN)
	if err != nil {
		return time.Time{}, err
	}
	for _, r := range runs {
		if r.Name == container && r.Started != nil {
			return *r.Started, nil
		}
	}
	return time.Time{}, fmt.Errorf("container %s of task %s has not started", container, taskARN)
}

// Logs is what a container of a task has printed.
func (a Address) Logs(ctx context.Context, taskARN, container string) (string, error) {
	var text []byte
	err := a.operate(ctx, http.MethodGet, "/_localecs/tasks/"+url.PathEscape(taskARN)+"/logs?container="+url.QueryEscape(container), nil, &text)
	return string(text), err
}

// SetStopOrder says in which order the containers of tasks that stop from now on get their SIGTERM.
func (a Address) SetStopOrder(ctx context.Context, order engine.StopOrder) error {
	return a.operate(ctx, http.MethodPut, "/_localecs/settings", api.Settings{StopOrder: &order}, nil)
}

// SetEvents says how task state changes reach the targets of rules from now on.
func (a Address) SetEvents(ctx context.Context, disorder eventbus.Disorder) error {
	return a.operate(ctx, http.MethodPut, "/_localecs/settings", api.Settings{Events: &disorder}, nil)
}

// SetQuotas switches ECS's throttling on, with full buckets, or off.
func (a Address) SetQuotas(ctx context.Context, on bool) error {
	return a.operate(ctx, http.MethodPut, "/_localecs/settings", api.Settings{Quotas: &on}, nil)
}

// EventStats counts what became of task state changes.
func (a Address) EventStats(ctx context.Context) (stats eventbus.Stats, err error) {
	err = a.operate(ctx, http.MethodGet, "/_localecs/events", nil, &stats)
	return stats, err
}

// operate calls localecs's own interface, beside ECS's.
func (a Address) operate(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, a.AWS+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	switch out := out.(type) {
	case nil:
		return nil
	case *[]byte:
		*out = answer
		return nil
	}
	return json.Unmarshal(answer, out)
}

// Down removes everything that the world made on Docker, also when its processes are dead.
func Down(ctx context.Context, name string) error {
	found, _ := toolcache.Find() // only Docker matters here, whatever else is missing
	if found.DockerHost == "" {
		return nil // without a daemon nothing of the world can be there
	}
	return localecs.Down(ctx, localecs.Config{Name: name, DockerHost: found.DockerHost})
}

// Leftovers names what is on Docker of a world that is down.
func Leftovers(ctx context.Context, name string) ([]string, error) {
	found, err := toolcache.Find()
	if err != nil {
		return nil, err
	}
	return engine.Leftovers(ctx, engine.Config{World: name, DockerHost: found.DockerHost})
}
