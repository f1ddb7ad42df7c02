package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/hashicorp/consul/api"
)

// stream hands the answer to a GET request to read while it comes in: the lists of a mesh of ten thousand tasks are megabytes of
// which little is kept.
func (c *Connection) stream(ctx context.Context, path string, query url.Values, read func(*json.Decoder) error) error {
	target := url.URL{Scheme: c.settings.scheme(), Host: anyServer, Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return err
	}
	var sender http.RoundTripper = serverTransport{c}
	if c.outside != nil {
		sender = c.outside
	}
	resp, err := sender.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // what was read of it says enough
		return fmt.Errorf("GET %s: %w", path, api.StatusError{Code: resp.StatusCode, Body: strings.TrimSpace(string(text))})
	}
	if err := read(json.NewDecoder(resp.Body)); err != nil {
		return fmt.Errorf("GET %s: read the answer: %w", path, err)
	}
	return nil
}

// elements reads an array, one element at a time. null is an empty one.
func elements[T any](d *json.Decoder, each func(T)) error {
	return inside(d, '[', func() error {
		var element T
		err := d.Decode(&element)
		if err == nil {
			each(element)
		}
		return err
	})
}

// fields reads an object, and has read take the value of each key. null is an empty one.
func fields(d *json.Decoder, read func(key string) error) error {
	return inside(d, '{', func() error {
		key, err := d.Token()
		if err != nil {
			return err
		}
		return read(fmt.Sprint(key))
	})
}

// inside has read take what is between a delimiter and its end, one after the other.
func inside(d *json.Decoder, delimiter json.Delim, read func() error) error {
	begin, err := d.Token()
	switch {
	case err != nil:
		return err
	case begin == nil:
		return nil
	case begin != delimiter:
		return fmt.Errorf("%v where %v is wanted", begin, delimiter)
	}
	for d.More() {
		if err := read(); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// texts keeps one copy of those that come again and again.
type texts map[string]string

func (t texts) one(text string) string {
	if have, ok := t[text]; ok {
		return have
	}
	t[text] = text
	return text
}
