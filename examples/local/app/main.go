// Command app is the application of the local example: a small HTTP server that says who it is, whom it called and what
// came of it.
//
//	app          serve until SIGTERM, then go on for SERVE_ON so that traffic can move elsewhere, and exit 0
//	app health   exit 0 if the server answers /healthz, else 1: the container's health check
//
// Environment: NAME (who I am; default "app"), LISTEN (default "127.0.0.1:8080"), UPSTREAM (a URL that every request to /
// calls first; none by default), SERVE_ON (a duration; default "1s", with "0s" the app is gone at SIGTERM, whatever it was
// doing).
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/signal"
	"path"
	"syscall"
	"time"
)

// Answer is what a request to / returns, as JSON.
type Answer struct {
	Service string `json:"service"`          // who answered
	Task    string `json:"task"`             // in which ECS task
	Called  *Call  `json:"called,omitempty"` // whom it called first
}

// Call is one request to the upstream and its outcome.
type Call struct {
	URL      string   `json:"url"`
	Resolved []string `json:"resolved,omitempty"` // what the host's name resolved to in this task; none for an address
	Status   int      `json:"status,omitempty"`   // of the upstream's answer
	Error    string   `json:"error,omitempty"`    // why there was none
	Answer   *Answer  `json:"answer,omitempty"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string) error {
	listen := cmp.Or(getenv("LISTEN"), "127.0.0.1:8080")
	on, err := time.ParseDuration(cmp.Or(getenv("SERVE_ON"), "1s"))
	if err != nil {
		return fmt.Errorf("SERVE_ON: %w", err)
	}
	switch {
	case len(args) == 0:
		return serve(ctx, listen, on, handler(cmp.Or(getenv("NAME"), "app"), getenv("UPSTREAM"), taskID(ctx, getenv)))
	case len(args) == 1 && args[0] == "health":
		return probe(ctx, listen)
	default:
		return fmt.Errorf("arguments %q: want none, or health", args)
	}
}

// serve answers until ctx ends, and on for a while: peers hear of a stopping task only after it was told to stop.
func serve(ctx context.Context, listen string, on time.Duration, h http.Handler) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	if on <= 0 {
		return server.Close()
	}
	time.Sleep(on)
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return server.Shutdown(bounded)
}

func handler(name, upstream, task string) http.Handler {
	// A connection of its own for every request: what is measured is the mesh, not a kept connection.
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		answer := Answer{Service: name, Task: task}
		status := http.StatusOK
		if upstream != "" {
			answer.Called = call(r.Context(), client, upstream)
			if answer.Called.Status != http.StatusOK {
				status = http.StatusBadGateway
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer) // the client has gone: nobody is left to tell
	})
	return mux
}

func call(ctx context.Context, client *http.Client, url string) *Call {
	made := &Call{URL: url}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{DNSDone: func(found httptrace.DNSDoneInfo) {
		for _, address := range found.Addrs {
			made.Resolved = append(made.Resolved, address.String())
		}
	}})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		made.Error = err.Error()
		return made
	}
	resp, err := client.Do(req)
	if err != nil {
		made.Error = err.Error()
		return made
	}
	defer resp.Body.Close()
	made.Status = resp.StatusCode
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	var answer Answer
	switch {
	case err != nil:
		made.Error = err.Error()
	case json.Unmarshal(body, &answer) == nil:
		made.Answer = &answer
	}
	return made
}

// taskID asks ECS which task this is; "" where there is no ECS.
func taskID(ctx context.Context, getenv func(string) string) string {
	uri := getenv("ECS_CONTAINER_METADATA_URI_V4")
	if uri == "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri+"/task", nil)
	if err != nil {
		return ""
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	var task struct{ TaskARN string }
	if err := json.NewDecoder(resp.Body).Decode(&task); err != nil {
		return ""
	}
	return path.Base(task.TaskARN)
}

func probe(ctx context.Context, listen string) error {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("LISTEN %q: %w", listen, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+port+"/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New("health: " + resp.Status)
	}
	return nil
}
