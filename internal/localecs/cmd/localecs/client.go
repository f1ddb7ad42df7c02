package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/api"
)

const requestTimeout = 30 * time.Second

func endpointFlag(fs *flag.FlagSet) *string {
	return fs.String("endpoint", os.Getenv("AWS_ENDPOINT_URL"), "URL that serve has told (default: AWS_ENDPOINT_URL)")
}

func tasks(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("tasks", flag.ContinueOnError)
	endpoint := endpointFlag(fs)
	if err := parse(fs, args, stderr); err != nil {
		return err
	}
	var list []api.Timeline
	if err := call(ctx, http.MethodGet, *endpoint, "/_localecs/tasks", nil, &list); err != nil {
		return err
	}
	for _, t := range list {
		fmt.Fprintln(stdout, t.TaskARN)
		for _, c := range t.Containers {
			fmt.Fprintf(stdout, "  %-24s %-9s %-9s restarts %d%s\n", c.Name, c.Status, c.Health, c.Restarts, runsOf(c.Started, c.Reason))
		}
	}
	return nil
}

// runsOf is the tail of a container's line: when it started, and why it is as it is.
func runsOf(started *time.Time, reason string) string {
	var b strings.Builder
	if started != nil {
		fmt.Fprint(&b, "  started ", started.Format("15:04:05.000"))
	}
	if reason != "" {
		fmt.Fprint(&b, "  ", reason)
	}
	return b.String()
}

func kill(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var in api.KillRequest
	fs := flag.NewFlagSet("kill", flag.ContinueOnError)
	endpoint := endpointFlag(fs)
	fs.StringVar(&in.Task, "task", "", "ID or ARN of the task (required)")
	fs.StringVar(&in.Container, "container", "", "container to hit (default: all of the task, at once)")
	fs.StringVar(&in.Signal, "signal", "KILL", "signal to send")
	if err := parse(fs, args, stderr); err != nil {
		return err
	}
	if in.Task == "" {
		fmt.Fprintln(stderr, "localecs kill: --task is required")
		return errUsage
	}
	var out map[string]string
	if err := call(ctx, http.MethodPost, *endpoint, "/_localecs/kill", in, &out); err != nil {
		return err
	}
	_, err := fmt.Fprintln(stdout, out["taskArn"])
	return err
}

func call(ctx context.Context, method, endpoint, path string, body, answer any) error {
	if endpoint == "" {
		return fmt.Errorf("%s %s: no endpoint\nhint: set --endpoint or AWS_ENDPOINT_URL", method, path)
	}
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(endpoint, "/")+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err // names method and URL itself
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, err := io.ReadAll(resp.Body)
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, cmp.Or(strings.TrimSpace(string(text)), fmt.Sprint(err)))
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("%s %s: read answer: %w", method, path, err)
	}
	return nil
}
