package taskmeta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Details are what the endpoint tells of a task's set-up, beyond what the agents live by.
type Details struct {
	Task
	LaunchType string // EC2, FARGATE, MANAGED_INSTANCES or EXTERNAL; "" where the endpoint does not say
	Asking     string // the name of the container that asks; "" where the endpoint does not say
}

// Tags are an ECS task's tags as its own metadata show them.
type Tags struct {
	Values  map[string]string
	Problem string // why the endpoint could not read them, in ECS's words; "" if it could
}

// Details asks for the task and for the container that asks, a few times if need be.
func (e *Endpoint) Details(ctx context.Context) (Details, error) {
	task, err := e.Wait(ctx)
	if err != nil {
		return Details{}, err
	}
	var kind struct{ LaunchType string }
	if err := e.read(ctx, e.url, &kind); err != nil {
		return Details{}, err
	}
	var self struct{ Name string }
	if err := e.read(ctx, strings.TrimSuffix(e.url, "/task"), &self); err != nil && !errors.Is(err, ErrGone) { // it may not be listed yet
		return Details{}, err
	}
	return Details{Task: task, LaunchType: kind.LaunchType, Asking: self.Name}, nil
}

// read asks for a document once and parses it into what it is to fill.
func (e *Endpoint) read(ctx context.Context, url string, into any) error {
	body, err := e.get(ctx, url)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("parse task metadata: GET %s: %w", url, err)
	}
	return nil
}

// Tags asks for the task's tags. On EC2 the ECS agent reads them with the role of the container instance, which may not be
// allowed to.
func (e *Endpoint) Tags(ctx context.Context) (Tags, error) {
	var a struct {
		TaskTags map[string]string
		Errors   []struct{ ErrorField, ErrorCode, ErrorMessage string }
	}
	if err := e.read(ctx, e.url+"WithTags", &a); err != nil {
		return Tags{}, err
	}
	tags := Tags{Values: a.TaskTags}
	for _, e := range a.Errors {
		if e.ErrorField == "TaskTags" {
			tags.Problem = strings.TrimSpace(e.ErrorCode + " " + e.ErrorMessage)
		}
	}
	return tags, nil
}

// Others lists the containers of the task definition but for those named and the one that asks, in the metadata's order.
func (d Details) Others(except ...string) []Container {
	return slices.DeleteFunc(slices.Clone(d.Containers), func(c Container) bool {
		return !c.Normal() || c.Name == d.Asking || slices.Contains(except, c.Name)
	})
}
