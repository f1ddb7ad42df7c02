package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/control"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/eventbus"
)

// Operator is what the operator of the local ECS can look at and do, besides ECS's own API.
type Operator struct {
	Containers func(taskARN string) ([]engine.ContainerRun, bool)
	Logs       func(ctx context.Context, taskARN, container string) ([]byte, error)
	Kill       func(ctx context.Context, taskARN, container, signal string) error
	Exec       func(ctx context.Context, taskARN, container string, command []string) ([]byte, error)
	Session    func(id, token string) (control.Session, bool) // of ECS Exec
	TaskARN    func(id string) (string, bool)                 // of a task by its ID or ARN
	TaskARNs   func() []string                                // of all tasks known
	StopOrder  func(engine.StopOrder)
	Quotas     func(on bool)
	Events     func(eventbus.Disorder)
	EventStats func() eventbus.Stats
}

// KillRequest is the body of POST /_localecs/kill.
type KillRequest struct {
	Task      string `json:"task"`      // ID or ARN
	Container string `json:"container"` // "" = every container of the task and its pause container
	Signal    string `json:"signal"`    // "" = SIGKILL
}

// Settings is the body of PUT /_localecs/settings. What is absent stays as it is.
type Settings struct {
	StopOrder *engine.StopOrder  `json:"stopOrder,omitempty"`
	Quotas    *bool              `json:"quotas,omitempty"` // true = full buckets from now on
	Events    *eventbus.Disorder `json:"events,omitempty"`
}

// Timeline is the answer of GET /_localecs/tasks/{id}.
type Timeline struct {
	TaskARN    string                `json:"taskArn"`
	Containers []engine.ContainerRun `json:"containers"`
}

var errNoTask = errors.New("no such task")

// Admin returns the handler of /_localecs/.
func Admin(o Operator, log hclog.Logger) http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, do func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { answer(w, r, do, log) })
	}
	handle("GET /_localecs/health", func(*http.Request) (any, error) { return map[string]string{"status": "ok"}, nil })
	handle("GET /_localecs/tasks", func(*http.Request) (any, error) { return o.timelines(), nil })
	handle("GET /_localecs/tasks/{id}", func(r *http.Request) (any, error) { return o.timeline(r.PathValue("id")) })
	handle("GET /_localecs/events", func(*http.Request) (any, error) { return o.EventStats(), nil })
	handle("POST /_localecs/kill", o.kill)
	handle("PUT /_localecs/settings", o.settings)
	printed := func(pattern string, do func(r *http.Request) ([]byte, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			text, err := do(r)
			if err != nil {
				refuse(w, err)
				return
			}
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			if _, err := w.Write(text); err != nil {
				log.Debug("caller gone", "path", r.URL.Path, "err", err)
			}
		})
	}
	printed("GET /_localecs/tasks/{id}/logs", o.logs)
	printed("POST /_localecs/sessions/{id}", o.session)
	return mux
}

// session runs the command of a session of ECS Exec and answers what it prints. The body is the session's token. AWS does this over a
// web socket that its plugin for the command line speaks to.
func (o Operator) session(r *http.Request) ([]byte, error) {
	token, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxRequest))
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	s, ok := o.Session(r.PathValue("id"), string(token))
	if !ok {
		return nil, errors.New("no such session, or another one's token")
	}
	return o.Exec(r.Context(), s.TaskARN, s.Container, strings.Fields(s.Command))
}

func (o Operator) timelines() []Timeline {
	out := []Timeline{}
	for _, arn := range o.TaskARNs() {
		if runs, ok := o.Containers(arn); ok {
			out = append(out, Timeline{arn, runs})
		}
	}
	return out
}

func (o Operator) timeline(id string) (any, error) {
	arn, ok := o.TaskARN(id)
	if !ok {
		return nil, fmt.Errorf("task %s: %w", id, errNoTask)
	}
	runs, ok := o.Containers(arn)
	if !ok {
		return nil, fmt.Errorf("task %s: containers: %w", id, errNoTask)
	}
	return Timeline{arn, runs}, nil
}

func (o Operator) logs(r *http.Request) ([]byte, error) {
	id := r.PathValue("id")
	arn, ok := o.TaskARN(id)
	if !ok {
		return nil, fmt.Errorf("task %s: %w", id, errNoTask)
	}
	return o.Logs(r.Context(), arn, r.URL.Query().Get("container"))
}

func (o Operator) kill(r *http.Request) (any, error) {
	var in KillRequest
	if err := read(r, &in); err != nil {
		return nil, err
	}
	arn, ok := o.TaskARN(in.Task)
	if !ok {
		return nil, fmt.Errorf("task %s: %w", in.Task, errNoTask)
	}
	return map[string]string{"taskArn": arn}, o.Kill(r.Context(), arn, in.Container, in.Signal)
}

func (o Operator) settings(r *http.Request) (any, error) {
	var in Settings
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if in.Events != nil {
		if err := in.Events.Check(); err != nil {
			return nil, fmt.Errorf("events: %w", err)
		}
	}
	if in.StopOrder != nil {
		if *in.StopOrder != engine.StopByDependency && *in.StopOrder != engine.StopAllAtOnce {
			return nil, fmt.Errorf("stopOrder %q: want %q or %q", *in.StopOrder, engine.StopByDependency, engine.StopAllAtOnce)
		}
		o.StopOrder(*in.StopOrder)
	}
	if in.Quotas != nil {
		o.Quotas(*in.Quotas)
	}
	if in.Events != nil {
		o.Events(*in.Events)
	}
	return in, nil
}

func read(r *http.Request, into any) error {
	dec := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxRequest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	return nil
}

func answer(w http.ResponseWriter, r *http.Request, do func(*http.Request) (any, error), log hclog.Logger) {
	out, err := do(r)
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(out); err != nil {
		log.Debug("caller gone", "path", r.URL.Path, "err", err)
	}
}

func refuse(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	if errors.Is(err, errNoTask) {
		status = http.StatusNotFound
	}
	http.Error(w, err.Error(), status)
}
