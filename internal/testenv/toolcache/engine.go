package toolcache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// engine speaks Docker's HTTP API, as far as images go. Version 1.41 is Debian 12's; newer daemons take it too.
type engine struct{ client *http.Client }

// inputsLabel holds the digest of what an image was made of.
const inputsLabel = "consulecs.inputs"

func newEngine(socket string) engine { return engine{socketClient(socket)} }

// image is what ImageInspect says, as far as it matters here.
type image struct {
	ID     string `json:"Id"`
	Size   int64
	Config struct{ Labels map[string]string }
}

// inspect returns the image of that name; a zero image says there is none.
func (e engine) inspect(ctx context.Context, name string) (image, error) {
	var img image
	resp, err := e.do(ctx, http.MethodGet, "/images/"+name+"/json", nil, nil)
	if err != nil {
		return img, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return img, json.NewDecoder(resp.Body).Decode(&img)
	case http.StatusNotFound:
		return img, nil
	}
	return img, apiError(resp)
}

// importImage makes a one-layer image of a tar of its root file system. changes are lines of a Dockerfile.
func (e engine) importImage(ctx context.Context, name string, changes []string, root io.Reader) error {
	repo, tag, _ := strings.Cut(name, ":")
	q := url.Values{"fromSrc": {"-"}, "repo": {repo}, "tag": {tag}, "changes": changes}
	resp, err := e.do(ctx, http.MethodPost, "/images/create", q, root)
	if err != nil {
		return err
	}
	return outcome(resp)
}

// build makes an image of a tar that holds a Dockerfile and its context. It uses the builder in the daemon: no
// buildx, and no docker client, is needed.
func (e engine) build(ctx context.Context, name string, args, labels map[string]string, buildContext io.Reader) error {
	q := url.Values{"t": {name}, "buildargs": {object(args)}, "labels": {object(labels)}, "rm": {"1"}, "forcerm": {"1"}}
	resp, err := e.do(ctx, http.MethodPost, "/build", q, buildContext)
	if err != nil {
		return err
	}
	return outcome(resp)
}

// sweep removes images of ours that have lost their name to a newer one and that no container uses any more.
func (e engine) sweep(ctx context.Context) error {
	filters, err := json.Marshal(map[string][]string{"dangling": {"true"}, "label": {inputsLabel}})
	if err != nil {
		return err
	}
	resp, err := e.do(ctx, http.MethodGet, "/images/json", url.Values{"filters": {string(filters)}}, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return apiError(resp)
	}
	var nameless []image
	if err := json.NewDecoder(resp.Body).Decode(&nameless); err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	for _, img := range nameless {
		if err := e.remove(ctx, img.ID); err != nil {
			return err
		}
	}
	return nil
}

// remove drops an image that nothing uses any more. One that a container still uses stays, as Docker has it.
func (e engine) remove(ctx context.Context, id string) error {
	resp, err := e.do(ctx, http.MethodDelete, "/images/"+id, nil, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK, http.StatusNotFound, http.StatusConflict:
		return nil
	}
	return apiError(resp)
}

func (e engine) do(ctx context.Context, method, path string, q url.Values, body io.Reader) (*http.Response, error) {
	target := "http://docker/v1.41" + path
	if len(q) > 0 {
		target += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-tar")
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return resp, nil
}

// outcome reads the progress that Docker streams; an error in it comes after the status 200.
func outcome(resp *http.Response) error {
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return apiError(resp)
	}
	lines := json.NewDecoder(resp.Body)
	for {
		var line struct{ Error string }
		err := lines.Decode(&line)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read Docker's progress: %w", err)
		}
		if line.Error != "" {
			return errors.New(line.Error)
		}
	}
}

func apiError(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
	return fmt.Errorf("%s %s: %s: %s", resp.Request.Method, resp.Request.URL.Path, resp.Status, strings.TrimSpace(string(body)))
}

func object(m map[string]string) string {
	raw, _ := json.Marshal(m) // strings only: cannot fail
	return string(raw)
}
