package consul

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/proto-public/pbdataplane"
	"github.com/hashicorp/go-hclog"
)

// Attempt is Connect without patience: it tries every server once, and returns what the first that answers says.
func Attempt(ctx context.Context, s Settings, log hclog.Logger) (*Connection, error) {
	return connectBy(ctx, s, log, (*session).logIn)
}

// AccessorID names the token of a login; "" where nobody logged in.
func (c *Connection) AccessorID() string { return c.session.current.Load().accessorID }

// Features lists what the current server offers to dataplanes, without the prefix that Consul's names of it have.
func (c *Connection) Features(ctx context.Context) ([]string, error) {
	answer, err := pbdataplane.NewDataplaneServiceClient(c.link.Conn).GetSupportedDataplaneFeatures(c.WithToken(ctx), &pbdataplane.GetSupportedDataplaneFeaturesRequest{})
	if err != nil {
		return nil, fmt.Errorf("ask for the features of dataplanes: %w", err)
	}
	var features []string
	for _, f := range answer.GetSupportedDataplaneFeatures() {
		if f.GetSupported() {
			features = append(features, strings.TrimPrefix(f.GetFeatureName().String(), "DATAPLANE_FEATURES_"))
		}
	}
	slices.Sort(features)
	return features, nil
}

// HasNode reports whether the catalog has the node.
func (c *Connection) HasNode(ctx context.Context, node string) (bool, error) {
	found, err := findNode(ctx, c.http, node)
	return found != nil, catalogRefusal(err)
}

// MayRegister asks Consul which of the registration's names the token may not write; none if all is well. Nothing is
// written. Where Consul's ACLs are off, everybody may.
func (c *Connection) MayRegister(ctx context.Context, r Registration) (refused []string, err error) {
	type question struct{ Resource, Access, Segment string }
	var questions []question
	for _, p := range r.Pairs() {
		questions = append(questions, question{"service", "write", p.ServiceName}, question{"service", "write", p.ProxyName})
	}
	body, err := json.Marshal(questions)
	if err != nil {
		return nil, err
	}
	const path = "/v1/internal/acl/authorize" // it is what Consul's own UI asks
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.settings.scheme()+"://"+anyServer+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	scope := req.URL.Query()
	for key, value := range map[string]string{"partition": c.settings.Scope.Partition, "ns": c.settings.Scope.Namespace} {
		if value != "" {
			scope.Set(key, value)
		}
	}
	req.URL.RawQuery = scope.Encode()
	resp, err := serverTransport{c}.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("POST %s: %w", path, err)
	}
	defer resp.Body.Close()
	var answers []struct {
		Segment string
		Allow   bool
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(answer, &answers)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("POST %s: %w", path, err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("POST %s: %w", path, api.StatusError{Code: resp.StatusCode, Body: strings.TrimSpace(string(answer))})
	}
	for _, a := range answers {
		if !a.Allow {
			refused = append(refused, a.Segment)
		}
	}
	return refused, nil
}
