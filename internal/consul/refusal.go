package consul

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/acl"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/link"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// briefly is how many tries a refusal gets that the controller may be about to mend: it makes the binding rules right
// after the auth method.
const briefly = 4

// settling is how many tries a refusal gets that is also the answer of a server which has just started and does not know yet
// what the others know. By the pauses of Retry that is three to ten seconds.
const settling = 8

// Consul's servers and gRPC hand on most causes as text only. The texts are matched in this file and nowhere else.
type reason struct {
	code  codes.Code // codes.OK for any
	text  string     // in the message; "" for any
	tries int
	hint  string
}

// What callers tell apart.
var (
	// ErrUnprepared means that Consul lets nobody log in as this role: the auth method is not there, does not admit the role, or
	// binds nothing to it.
	ErrUnprepared = errors.New("no auth method of Consul admits the login and binds something to it")
	// ErrNoACLs means that Consul's ACL system is off: nobody logs in, and there is nothing to prepare for it.
	ErrNoACLs = errors.New("the ACL system of Consul is off")
	// ErrUnregistered means that Consul does not know the service, the proxy or the node that checks were written for.
	ErrUnregistered = errors.New("not in Consul's catalog")
)

// unprepared are the answers that mean so.
var unprepared = []reason{
	{code: codes.InvalidArgument, text: "auth method"},
	{code: codes.PermissionDenied},
	{code: codes.Unauthenticated, text: "not trusted"},
}

// behind are answers that a server also gives when it has just started and has not caught up with the others. One of them may
// know better.
var behind = []reason{
	{code: codes.InvalidArgument, text: "auth method"},
	{code: codes.Unauthenticated, text: link.Unknown},
	{code: codes.Unknown, text: noLeader},
}

// noLeader is the answer, by HTTP and gRPC, of a server that has not found the others yet, or of all where they have no leader.
const noLeader = "No cluster leader"

// unbootstrapped is in Consul's answer, by HTTP and gRPC, where it knows no token at all, and hintUnbootstrapped the fix where
// that is not for the moment only.
const (
	unbootstrapped     = "ACL system must be bootstrapped"
	hintUnbootstrapped = "Consul knows no token yet: run consul acl bootstrap, and consulecs-agent bootstrap with the token that it prints"
)

// clockHint is for signatures that AWS finds too old or too young. The AWS SDK corrects the time of the requests that it
// sends, but those that a login consists of are sent by Consul's servers.
const clockHint = "the clock of this container's host is minutes off, or Consul took that long to use the login: see the host's time synchronization"

// refusals are Consul's answers to a login or to a token; the first match counts.
var refusals = []reason{
	{codes.InvalidArgument, "auth method", 0, "the auth method does not exist yet: the controller creates it; run the controller, or set consulLogin.method"},
	{codes.FailedPrecondition, "ACL", 1, "Consul's ACL system is off: set consulLogin.enabled to false"},
	{codes.PermissionDenied, "", briefly, "no binding rule of the auth method matches the task role: the controller makes the rules at its start"},
	{codes.Internal, "failed to create token", 0, "Consul's own log says why; a tag " + mesh.RoleTagServiceName + " that is no name of a service can be the reason"},
	{codes.Unauthenticated, "must be provided", 1, "Consul's ACL system is on: set consulLogin.enabled to true, or give a token in " + mesh.VariableToken},
	{codes.Unauthenticated, unbootstrapped, settling, hintUnbootstrapped},
	{codes.Unauthenticated, link.Unknown, settling, "Consul does not know the token in " + mesh.VariableToken},
	{codes.Unauthenticated, "error making request", 0, "Consul's servers do not reach STS or IAM: see stsEndpoint and iamEndpoint of the auth method"},
	{codes.Unauthenticated, "response body is invalid", 0, "what answers Consul's servers is neither STS nor IAM: see stsEndpoint and iamEndpoint of the auth method"},
	{codes.Unauthenticated, "received error code 5", 0, ""},
	{codes.Unauthenticated, "Throttl", 0, ""},
	{codes.Unauthenticated, "not trusted", 1, "the auth method admits other roles: the task role must lie under its path (controller.iamRolePath), " + mesh.RolePath + " by default"},
	{codes.Unauthenticated, "Signature expired", 1, clockHint},
	{codes.Unauthenticated, "Signature not yet current", 1, clockHint},
	{codes.Unauthenticated, "AccessDenied", 1, "the task role must be allowed iam:GetRole on itself"},
	{codes.Unauthenticated, "NoSuchEntity", 1, "IAM does not know the task role: the login and the auth method must use the same account and IAM endpoint"},
	{codes.Unauthenticated, "hostname", 1, "the login was signed for an endpoint that the auth method does not expect: give both the same STS and IAM endpoints"},
	{codes.Unauthenticated, "", 1, "the aws-iam auth method refused the task role"},
}

// Parts of the errors of handshakes for which crypto/tls has no types: a server ends the connection because of
// verify_incoming, or does not speak HTTP/2.
const (
	clientCertificateWanted = "certificate required"
	noProtocol              = "no application protocol"
)

// The hints for them.
const (
	hintNoProtocol        = "what listens at the port does not speak gRPC: see consulServers.grpc.port"
	hintClientCertificate = "the servers want a client certificate, and tasks have none: set verify_incoming to false in tls.grpc and tls.https of the servers' configuration"
)

// dials are causes for which a server cannot be spoken to.
var dials = []reason{
	{codes.Unavailable, "x509: certificate signed by unknown authority", 1, "the servers' certificates come from another CA: give theirs in " + mesh.VariableGRPCCACert + " or consulServers.grpc.caCertFile"},
	{codes.Unavailable, "x509: certificate has expired or is not yet valid", 1, "renew the servers' certificates, or set the clock of this container's host right"},
	{codes.Unavailable, "x509: ", 1, "the certificate does not fit the name: set consulServers.defaults.tlsServerName, such as server.dc1.consul"},
	{codes.Unavailable, "does not look like a TLS handshake", 1, "the port speaks plain text: set consulServers.grpc.tls to false, or use the port for gRPC over TLS"},
	{codes.Unavailable, clientCertificateWanted, 1, hintClientCertificate},
	{codes.Unavailable, noProtocol, 1, hintNoProtocol},
	{codes.Unavailable, "server preface", 0, "the port may want TLS: see consulServers.grpc.tls and consulServers.grpc.port"},
	{codes.Unavailable, "produced no addresses", 0, "the servers know no server of the datacenter that the login is for: see consulLogin.datacenter"},
	{codes.OK, "", 0, "see consulServers.hosts and consulServers.grpc.port, and whether the task's security group may reach them"},
}

// What a server answers to plain HTTP where it wants TLS, and the fix.
const (
	plainToTLS = "HTTP request to an HTTPS server"
	hintHTTPS  = "the port wants HTTPS: set consulServers.http.https to true, or use the port for plain HTTP"
)

// httpDials are causes for which a server's HTTP API cannot be spoken to.
var httpDials = []reason{
	{codes.OK, "x509: certificate signed by unknown authority", 1, "the certificate of the servers' HTTP API comes from another CA: give theirs in " + mesh.VariableHTTPSCACert + " or consulServers.http.caCertFile"},
	{codes.OK, "x509: ", 1, "the certificate of the servers' HTTP API does not fit the name: set consulServers.defaults.tlsServerName, such as server.dc1.consul"},
	{codes.OK, "does not look like a TLS handshake", 1, "the port speaks plain text: set consulServers.http.https to false, or use the port for HTTPS"},
	{codes.OK, "", 0, "see consulServers.http.port, and whether the task's security group may reach it"},
}

// find returns the first reason that matches, else one that says nothing.
func find(reasons []reason, code codes.Code, text string) reason {
	for _, r := range reasons {
		if (r.code == codes.OK || r.code == code) && strings.Contains(text, r.text) {
			return r
		}
	}
	return reason{}
}

// isUnreached reports whether err means that the server could not be spoken to, so that another one may do.
func isUnreached(err error) bool {
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.DeadlineExceeded || code == codes.Canceled || code == codes.Unimplemented ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// isBehind reports whether err may only mean that the server has not caught up with the others, so that another one may do.
func isBehind(err error) bool {
	answer := status.Convert(err)
	return slices.ContainsFunc(behind, func(b reason) bool { return b.code == answer.Code() && strings.Contains(answer.Message(), b.text) })
}

// refused explains an answer that Consul gave to a login or a token.
func refused(err error, s Settings) *Refusal {
	answer, _ := status.FromError(err)
	r := find(refusals, answer.Code(), answer.Message())
	if s.Login == nil {
		return &Refusal{Err: fmt.Errorf("ACL token refused: %s: %s", answer.Code(), answer.Message()), Hint: r.hint, Tries: r.tries}
	}
	err = fmt.Errorf("log in by auth method %s: %s: %s", s.Login.Method, answer.Code(), answer.Message())
	if slices.ContainsFunc(unprepared, func(u reason) bool { return u.code == answer.Code() && strings.Contains(answer.Message(), u.text) }) {
		err = unpreparedError{err}
	}
	return &Refusal{Err: err, Hint: r.hint, Tries: r.tries}
}

// unpreparedError is ErrUnprepared in Consul's own words.
type unpreparedError struct{ error }

func (unpreparedError) Is(target error) bool { return target == ErrUnprepared }

// unreachable explains a round in which no server could be spoken to. It is final only if it is so for each of them.
func unreachable(errs []error, s Settings) error {
	if len(errs) == 0 {
		return &Refusal{Err: fmt.Errorf("%s names no address", s.Hosts), Hint: "see consulServers.hosts"}
	}
	var worst reason
	for i, err := range errs {
		r := find(dials, status.Code(errors.Unwrap(err)), err.Error())
		if i == 0 || r.tries == 0 {
			worst = r
		}
	}
	return &Refusal{Err: errors.Join(errs...), Hint: worst.hint, Tries: worst.tries}
}

// unspoken explains why no answer came from the HTTP API of a server. It is final only where none has ever come: what has
// worked before may work again.
func unspoken(err error, spoken bool) error {
	r := find(httpDials, codes.OK, err.Error())
	if spoken {
		r.tries = 0
	}
	return &Refusal{Err: err, Hint: r.hint, Tries: r.tries}
}

// nodeWrite is the right that only the controller has: Consul asks for it where the node of a registration is not there.
const nodeWrite = "node:write"

// overloads are causes for which a server has not done what it was asked to, and may do it when asked again.
var overloads = []string{
	"rate limit exceeded", "oo many requests", noLeader, "is not the leader", "leadership lost", "leadership transfer in progress",
	"timed out enqueuing operation", "raft apply timeout", "No path to datacenter", "rpc error getting client",
}

// interruptions are causes for which a server could not finish what it was asked to. They say nothing about the request.
var interruptions = []string{
	"EOF", "timeout", "timed out", "deadline exceeded", "context canceled", "connection re", "broken pipe", "stream closed", "session shutdown",
	"shutdown", "abandoned", "not ready to serve", "No known Consul servers", "No available", "lookup failed", "failed node lookup", "failed service lookup",
}

// rules are those that Consul has for what is registered, by a part of its answer, each with the places of the configuration
// that it is about. It answers them by the status 500, as it answers its own faults.
var rules = []struct{ text, place string }{
	{"Invalid Service Meta", "service.meta"},
	{"Proxy.Config", "proxy.config"},
	{"expose.paths", "proxy.expose.paths"},
	{"not supported for path", "proxy.expose.paths"},
	{"upstream", "proxy.upstreams"},
	{"DestinationServiceName", "service.name"},
	{"service name", "service.name"},
	{"Port or SocketPath", "proxy.publicListenerPort"},
	{"without region", "the task's Region, or AWS_REGION,"},
	{"Invalid service address", "the task's address"},
	{anyRule, "service or proxy"},
}

// anyRule is the form of whatever Consul's validation finds: a rule that is not listed is told from a fault by it.
const anyRule = " occurred:\n"

// registrationRefusal is catalogRefusal for a registration, and names the place in the configuration that Consul refuses.
func registrationRefusal(err error) error {
	var status api.StatusError
	if errors.As(err, &status) && status.Code == http.StatusInternalServerError {
		for _, r := range rules {
			if strings.Contains(status.Body, r.text) {
				return &Refusal{Err: err, Tries: 1, Hint: "Consul takes no such registration, however often it is asked: see " + r.place + " in the configuration"}
			}
		}
	}
	return catalogRefusal(err)
}

// unregistered are the answers to a write of checks where what they hang on is gone.
var unregistered = []string{"Unknown service ID", nodeWrite}

// checkRefusal is catalogRefusal for a write of checks.
func checkRefusal(err error) error {
	var status api.StatusError
	if errors.As(err, &status) && slices.ContainsFunc(unregistered, func(part string) bool { return strings.Contains(status.Body, part) }) {
		return fmt.Errorf("%w: %s", ErrUnregistered, status.Body)
	}
	return catalogRefusal(err)
}

// aclRefusals are answers of the HTTP API to the controller; the first match counts.
var aclRefusals = []struct {
	text  string // in the answer; "" for any
	code  int    // 0 for any
	cause error  // that it is, nil for no other
	means error  // what callers are told that it is; nil for nothing
	tries int
	hint  string
}{
	{"ACL support disabled", 0, nil, ErrNoACLs, 1, "tasks log in through ACLs: set acl.enabled in the configuration of Consul's servers"},
	{"", 0, acl.ErrNotEnterprise, nil, 1, "controller.partitionsEnabled takes Consul Enterprise: leave it out"},
	{unbootstrapped, 0, nil, nil, settling, hintUnbootstrapped},
	{link.Unknown, 0, nil, nil, settling, "Consul does not know the controller's token: it was deleted, or is another datacenter's"},
	{plainToTLS, 0, nil, nil, 1, hintHTTPS},
	{"", http.StatusForbidden, nil, nil, 1, "the token needs acl = \"write\" and what else consulecs-agent bootstrap -print -controller-writes-acl prints"},
}

// aclRefusal explains an answer of the HTTP API to the controller.
func aclRefusal(err error) error {
	if err == nil {
		return nil
	}
	for _, r := range aclRefusals {
		if !strings.Contains(err.Error(), r.text) || r.code != 0 && !hasStatus(err, r.code) || r.cause != nil && !errors.Is(err, r.cause) {
			continue
		}
		if r.means != nil {
			err = fmt.Errorf("%w: %w", r.means, err)
		}
		return &Refusal{Err: err, Tries: r.tries, Hint: r.hint}
	}
	return err
}

// isUnanswered reports whether nobody knows if Consul has done what it was asked to: no answer came from the server, or the server
// got none from the leader.
func isUnanswered(err error) bool {
	var lost *url.Error
	return errors.As(err, &lost) || err != nil && strings.Contains(err.Error(), "rpc error making call")
}

// isOverload reports whether an answer says that the server has too much to do, or no leader.
func isOverload(status int, text string) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	case http.StatusInternalServerError:
		return slices.ContainsFunc(overloads, func(part string) bool { return strings.Contains(text, part) })
	}
	return false
}

// catalogRefusal explains an answer of the HTTP API to a write of the task's own registration.
func catalogRefusal(err error) error {
	var status api.StatusError
	if !errors.As(err, &status) {
		return err
	}
	return explainCatalog(err, status.Code, status.Body)
}

// furtherRefusal is an explained refusal for the n-th service of a task, counted from 0.
func furtherRefusal(explained error, n int) error {
	var refusal *Refusal
	if n > 0 && errors.As(explained, &refusal) && refusal.Hint == hintOtherService {
		refusal.Hint = "the token is not for this service: the tag " + mesh.RoleTagOfService(n) + " of the task role must be the name of the service, and Consul needs the binding rule for that tag: " +
			"update the controller, or run consulecs-agent bootstrap of this version again"
	}
	return explained
}

// hintOtherService is for a token that has no right to a task's first service.
const hintOtherService = "the token is for another service: the tag " + mesh.RoleTagServiceName + " of the task role must be the name of the service"

func explainCatalog(err error, code int, text string) error {
	switch {
	case strings.Contains(text, nodeWrite):
		return &Refusal{Err: err, Hint: "the synthetic node of the ECS cluster is missing in Consul's catalog: the controller must run; it makes the node at its start"}
	case strings.Contains(text, "service:write"):
		return &Refusal{Err: err, Tries: 1, Hint: hintOtherService}
	case strings.Contains(text, plainToTLS):
		return &Refusal{Err: err, Tries: 1, Hint: hintHTTPS}
	case code == http.StatusForbidden && strings.Contains(text, link.Unknown):
		return &Refusal{Err: err, Tries: settling}
	case code == http.StatusForbidden:
		return &Refusal{Err: err, Tries: briefly}
	case strings.Contains(text, "Enterprise feature"), code == http.StatusBadRequest && strings.Contains(text, `unknown field "Partition"`):
		return &Refusal{Err: err, Tries: 1, Hint: "namespaces and partitions are there in Consul Enterprise alone: leave them out of service and proxy.upstreams"}
	case code == http.StatusBadRequest:
		return &Refusal{Err: err, Tries: 1}
	case code != http.StatusInternalServerError || isOverload(code, text):
		return err
	}
	if strings.Contains(text, anyRule) {
		return &Refusal{Err: err, Tries: 1}
	}
	if slices.ContainsFunc(interruptions, func(part string) bool { return strings.Contains(text, part) }) {
		return err
	}
	return &Refusal{Err: err, Tries: briefly} // nobody knows; the same answer will come again if it is a rule
}
