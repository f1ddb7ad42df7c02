package dataplane

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/consul/proto-public/pbdataplane"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/link"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

const (
	paramsTimeout = 10 * time.Second // of one call

	// lagging is how many answers "ACL not found" a fresh token gets: a server that lags behind its leader does not know
	// the token yet, and remembers that for a moment.
	lagging = 3
	// refusals is how many answers "permission denied" it takes to be sure of them, for the same reason.
	refusals = 5
)

// consulSettings turns the file into what internal/consul needs. The task's metadata are asked only for what is not in the file.
func (a *agent) consulSettings(ctx context.Context) (consul.Settings, error) {
	c, p := a.file.Consul, a.file.Proxy
	s := consul.Settings{
		Hosts: c.Addresses, SkipServerWatch: c.ServerWatchDisabled,
		GRPC:      agentconfig.Endpoint{Port: c.GRPCPort, TLS: !c.TLS.Disabled, ServerName: c.TLS.ServerName, CACertFile: c.TLS.CACertsPath},
		GRPCCAPEM: a.getenv(mesh.VariableGRPCCACert),
		Token:     strings.TrimSpace(a.getenv(mesh.VariableToken)),
		Scope:     mesh.Scope{Partition: p.Partition, Namespace: p.Namespace},
		CertFile:  c.TLS.CertFile, KeyFile: c.TLS.KeyFile, InsecureSkipVerify: c.TLS.InsecureSkipVerify,
	}
	a.reachCatalog(&s)
	if c.Credentials == nil || s.Token != "" {
		return s, nil
	}
	if c.Credentials.Type == dataplanefile.CredentialsStatic {
		s.Token = strings.TrimSpace(c.Credentials.Static.Token)
	}
	if c.Credentials.Type != dataplanefile.CredentialsLogin {
		return s, nil
	}
	l := c.Credentials.Login
	s.Login = &consul.Login{
		Method: l.AuthMethod, Datacenter: l.Datacenter, Partition: l.Partition, Namespace: l.Namespace, Meta: l.Meta,
		Region: l.Region, STSEndpoint: l.STSEndpoint, IAMEndpoint: l.IAMEndpoint,
		IncludeEntity: l.IncludeEntity, ServerIDHeaderValue: l.ServerIDHeaderValue, BearerFile: l.BearerTokenPath,
		TokenLife: time.Duration(l.TokenTTLSeconds) * time.Second, LifeGiven: true,
	}
	if s.Login.Region == "" && s.Login.BearerFile == "" {
		task, err := taskmeta.Read(ctx, a.getenv(taskmeta.Variable))
		if err != nil {
			return consul.Settings{}, fmt.Errorf("find the region to log in from: %w", err)
		}
		s.Login.Region = task.Region
	}
	return s, nil
}

// fetchParams asks Consul for what the proxy's bootstrap is made of, until ctx ends or Consul's refusal is certain.
func fetchParams(ctx context.Context, conn *consul.Connection, proxy dataplanefile.Proxy, log hclog.Logger) (*pbdataplane.GetEnvoyBootstrapParamsResponse, error) {
	var resp *pbdataplane.GetEnvoyBootstrapParamsResponse
	lost := 0
	err := consul.Retry(ctx, log, "get bootstrap parameters of proxy "+proxy.ID, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, paramsTimeout)
		defer cancel()
		token := conn.Token()
		var err error
		resp, err = pbdataplane.NewDataplaneServiceClient(conn.GRPC()).GetEnvoyBootstrapParams(conn.WithToken(ctx), paramsRequest(proxy))
		if link.TokenLost(err) {
			if lost++; lost > lagging {
				lost = 0
				return renewed(conn.Renew(ctx, token), err)
			}
		}
		return explain(err)
	})
	return resp, err
}

// paramsRequest names the proxy by its ID and its node, by the node's ID where that is known.
func paramsRequest(proxy dataplanefile.Proxy) *pbdataplane.GetEnvoyBootstrapParamsRequest {
	req := &pbdataplane.GetEnvoyBootstrapParamsRequest{
		NodeSpec: &pbdataplane.GetEnvoyBootstrapParamsRequest_NodeName{NodeName: proxy.NodeName},
		ProxyId:  proxy.ID, Namespace: proxy.Namespace, Partition: proxy.Partition,
	}
	if proxy.NodeID != "" {
		req.NodeSpec = &pbdataplane.GetEnvoyBootstrapParamsRequest_NodeId{NodeId: proxy.NodeID}
	}
	return req
}

// renewed makes the call once more with another token, or tells why there is none.
func renewed(renewal, cause error) error {
	if renewal != nil {
		return &consul.Refusal{Err: fmt.Errorf("%w; get another token: %w", cause, renewal), Tries: 1}
	}
	return cause
}

// explain tells which answers another try may mend, and how an operator can.
func explain(err error) error {
	switch status.Code(err) {
	case codes.OK:
		return nil
	case codes.NotFound:
		return &consul.Refusal{Err: err, Hint: "mesh-init registers the proxy before this container starts: see its log, and whether something deregistered the proxy"}
	case codes.PermissionDenied:
		return &consul.Refusal{Err: err, Tries: refusals, Hint: "the token is for another service: the tag " + mesh.RoleTagServiceName + " of the task role must be the name of the service"}
	case codes.InvalidArgument, codes.Unimplemented:
		return &consul.Refusal{Err: err, Tries: 1}
	default:
		return err
	}
}

// reachCatalog adds the way to the HTTP API, where somebody has to look at the catalog.
func (a *agent) reachCatalog(s *consul.Settings) {
	l := a.file.Locality
	if l == nil || l.HTTP == nil {
		return
	}
	s.HTTP = agentconfig.Endpoint{Port: l.HTTP.Port, TLS: !l.HTTP.TLSDisabled, ServerName: l.HTTP.ServerName, CACertFile: l.HTTP.CACertsPath}
}
