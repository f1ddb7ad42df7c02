// Package remote speaks with Consul's HTTP API from outside a task: from the machine of whoever runs Terraform.
package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Server says where the HTTP API is. What is empty is as the environment of Consul's own command says: CONSUL_HTTP_ADDR,
// CONSUL_HTTP_TOKEN, CONSUL_CACERT, CONSUL_TLS_SERVER_NAME and their kin.
type Server struct {
	Address       string // a URL
	Token         string
	CAPEM, CAFile string
	ServerName    string // to verify the certificate by
	Partition     string // of Consul Enterprise
}

// Client speaks with a server.
type Client struct {
	api       *api.Client
	conn      *consul.Connection
	address   string
	partition string
}

// New makes a client. Nothing is asked yet.
func New(s Server) (*Client, error) {
	cfg := api.DefaultConfig()
	for to, from := range map[*string]string{
		&cfg.Address: s.Address, &cfg.Token: s.Token, &cfg.TLSConfig.CAFile: s.CAFile, &cfg.TLSConfig.Address: s.ServerName, &cfg.Partition: s.Partition,
	} {
		if from != "" {
			*to = from
		}
	}
	if s.Token != "" {
		cfg.TokenFile = "" // of the environment, which would win
	}
	if s.CAPEM != "" {
		cfg.TLSConfig.CAPem, cfg.TLSConfig.CAFile, cfg.TLSConfig.CAPath = []byte(s.CAPEM), "", ""
	}
	address := cfg.Address // without the token
	conn, client, err := consul.ConnectOutside(cfg)
	if err != nil {
		return nil, err
	}
	return &Client{client, conn, address, cfg.Partition}, nil
}

// Connection is the client as a connection, for what a controller does too. What takes gRPC does not work on it.
func (c *Client) Connection() *consul.Connection { return c.conn }

// Address is where the server is.
func (c *Client) Address() string { return c.address }

// Service is an instance on a node: a task's, or its proxy's.
type Service struct {
	ID, Name, Namespace string
	TaskID              string            // "": it is no task's
	Checks              map[string]string // status by check ID
}

// Passing is the status of an instance whose checks all pass.
const Passing = api.HealthPassing

// Status is the worst status of its checks, as Consul sees the instance.
func (s Service) Status() string {
	worst := api.HealthPassing
	for _, status := range s.Checks {
		if status == api.HealthCritical || status == api.HealthWarning && worst == api.HealthPassing {
			worst = status
		}
	}
	return worst
}

// Survey is what Consul has on the node of an ECS cluster.
type Survey struct {
	Registered bool // the node is there
	Services   []Service
	Partial    bool // the token may not read all of it: Consul left something out
}

// everyNamespace has a list tell of all namespaces.
const everyNamespace = "*"

// Survey reads what Consul has on a node, of all namespaces where there are some.
func (c *Client) Survey(ctx context.Context, node string) (Survey, error) {
	options := (&api.QueryOptions{}).WithContext(ctx)
	if c.partition != "" {
		options.Namespace = everyNamespace
	}
	list, meta, err := c.api.Catalog().NodeServiceList(node, options)
	if err != nil {
		return Survey{}, c.explain("list the services of node "+node, err)
	}
	checks, checksMeta, err := c.api.Health().Node(node, options)
	if err != nil {
		return Survey{}, c.explain("list the checks of node "+node, err)
	}
	found := Survey{Registered: list != nil && list.Node != nil, Partial: meta.ResultsFilteredByACLs || checksMeta.ResultsFilteredByACLs}
	if !found.Registered {
		return found, nil
	}
	type scoped struct{ namespace, id string }
	statuses := map[scoped]map[string]string{}
	for _, check := range checks {
		at := scoped{check.Namespace, check.ServiceID}
		if statuses[at] == nil {
			statuses[at] = map[string]string{}
		}
		statuses[at][check.CheckID] = check.Status
	}
	for _, s := range list.Services {
		found.Services = append(found.Services, Service{
			ID: s.ID, Name: s.Service, Namespace: s.Namespace, TaskID: s.Meta[mesh.MetaTaskID], Checks: statuses[scoped{s.Namespace, s.ID}],
		})
	}
	return found, nil
}

// Token is what a login got.
type Token struct{ AccessorID, SecretID string }

// LogIn logs in by an auth method.
func (c *Client) LogIn(ctx context.Context, l consul.Login) (Token, error) {
	bearer, err := l.Mint(ctx, hclog.NewNullLogger())
	if err != nil {
		var refusal *consul.Refusal // its hint is one for tasks
		if errors.As(err, &refusal) {
			err = refusal.Err
		}
		return Token{}, fmt.Errorf("log in to Consul: sign the login: %w\nhint: it is signed with the provider's own AWS credentials, and asks STS whose they are", err)
	}
	scope := (&api.WriteOptions{Namespace: l.Namespace, Partition: l.Partition, Datacenter: l.Datacenter}).WithContext(ctx)
	token, _, err := c.api.ACL().Login(&api.ACLLoginParams{AuthMethod: l.Method, BearerToken: bearer, Meta: l.Meta}, scope)
	if err != nil {
		return Token{}, c.explain("log in by auth method "+l.Method, err)
	}
	return Token{token.AccessorID, token.SecretID}, nil
}

// LogOut destroys the token of a login. A token that is gone already is no error.
func (c *Client) LogOut(ctx context.Context, t Token) error {
	_, err := c.api.ACL().Logout((&api.WriteOptions{Token: t.SecretID}).WithContext(ctx))
	if err != nil && !strings.Contains(err.Error(), "ACL not found") {
		return c.explain("log out token "+t.AccessorID, err)
	}
	return nil
}

// explain says what did not work, and how to mend it.
func (c *Client) explain(what string, err error) error {
	err = fmt.Errorf("%s: Consul at %s: %w", what, c.address, err)
	var status api.StatusError
	text, answered := err.Error(), errors.As(err, &status)
	hint := ""
	switch {
	case strings.Contains(text, "x509"), strings.Contains(text, "does not look like a TLS handshake"):
		hint = "see consul.address, consul.ca_file or consul.ca_pem, and consul.server_name of the provider"
	case strings.Contains(text, "HTTP request to an HTTPS server"):
		hint = "the port wants HTTPS: begin consul.address of the provider with https://"
	case strings.Contains(text, "ACL not found"):
		hint = "Consul does not know the token: see consul.token of the provider, or CONSUL_HTTP_TOKEN"
	case strings.Contains(text, "ACL support disabled"):
		hint = "Consul's ACL system is off: nobody logs in"
	case answered && strings.HasPrefix(what, "log in"):
		hint = "see the auth method: BoundIAMPrincipalARNs, STSEndpoint and IAMEndpoint of its Config, and its binding rules"
	case answered && status.Code == http.StatusForbidden:
		hint = "the token needs node:read and service:read: see consul.token of the provider, or CONSUL_HTTP_TOKEN"
	case !answered:
		hint = "see consul.address of the provider, or CONSUL_HTTP_ADDR, and whether this machine reaches it"
	}
	if hint == "" {
		return err
	}
	return fmt.Errorf("%w\nhint: %s", err, hint)
}
