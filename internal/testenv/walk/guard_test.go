package walk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/world"
)

// guard stands before the world's AWS, which enforces no policies, and enforces those of the role that Terraform takes on. What
// the administrator's credentials ask for goes through.
type guard struct {
	URL string

	world    *world.World
	roles    *iam.Client
	accounts *sts.Client
	behind   http.Handler
	account  string

	mu      sync.Mutex
	used    map[string]bool // actions that were granted
	refused []string
}

// terraformRole is the role of the page.
const terraformRole = "mesh-terraform"

// administrator is the access key of the world's own credentials.
const administrator = "test"

func startGuard(t *testing.T, w *world.World) *guard {
	t.Helper()
	aws, err := url.Parse(w.AWS)
	if err != nil {
		t.Fatal(err)
	}
	g := &guard{world: w, roles: iam.NewFromConfig(w.AWSConfig()), accounts: sts.NewFromConfig(w.AWSConfig()), behind: httputil.NewSingleHostReverseProxy(aws), used: map[string]bool{}}
	who, err := g.accounts.GetCallerIdentity(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	g.account = *who.Account
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	g.URL = server.URL
	return g
}

// ServeHTTP implements http.Handler.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller is gone
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	key, service := signer(r)
	if key == administrator || strings.HasPrefix(r.URL.Path, "/_localecs/") {
		g.behind.ServeHTTP(w, r)
		return
	}
	c, err := callOf(service, r, body)
	if err == nil {
		err = g.check(r.Context(), c)
	}
	if err != nil {
		refuse(w, r, err)
		return
	}
	g.behind.ServeHTTP(w, r)
}

// signer is the access key that signed a request, and the service that it is for.
func signer(r *http.Request) (key, service string) {
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	parts := strings.Split(scope, "/")
	if len(parts) < 5 {
		return "", ""
	}
	return parts[0], parts[3]
}

// check is nil where the policies of Terraform's role grant all that a call takes.
func (g *guard) check(ctx context.Context, c call) error {
	rights, err := g.rights(ctx, c)
	if err != nil {
		return err
	}
	granted, err := g.policies(ctx)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range rights {
		if !slices.ContainsFunc(granted, func(p policy) bool { return p.allows(r) }) {
			g.refused = append(g.refused, r.Action+" on "+r.Resource)
			return fmt.Errorf("User: %s is not authorized to perform: %s on resource: %s", terraformRole, r.Action, r.Resource)
		}
		g.used[r.Action] = true
	}
	return nil
}

// policies are the role's, as IAM has them.
func (g *guard) policies(ctx context.Context) ([]policy, error) {
	role := terraformRole
	listed, err := g.roles.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: &role})
	if err != nil {
		return nil, err
	}
	var all []policy
	for _, name := range listed.PolicyNames {
		got, err := g.roles.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &role, PolicyName: &name})
		if err != nil {
			return nil, err
		}
		text, err := url.PathUnescape(*got.PolicyDocument)
		if err != nil {
			return nil, err
		}
		var p policy
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// refuse answers as AWS does.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.Header.Get("X-Amz-Target") != "" {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": "AccessDeniedException", "message": err.Error()}) // the caller is gone otherwise
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(http.StatusForbidden)
	fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>%s</Message></Error></ErrorResponse>", err)
}

// call is a call of AWS.
type call struct {
	service, action string
	form            url.Values     // of a service that takes forms
	body            map[string]any // of one that takes JSON
}

func callOf(service string, r *http.Request, body []byte) (call, error) {
	c := call{service: service}
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		_, c.action, _ = strings.Cut(target, ".")
		return c, json.Unmarshal(body, &c.body)
	}
	form, err := url.ParseQuery(string(body))
	c.form, c.action = form, form.Get("Action")
	if err == nil && c.action == "" {
		err = errors.New("the guard does not know what is asked for: " + r.Method + " " + r.URL.Path)
	}
	return c, err
}

// text is an argument of a JSON call.
func (c call) text(name string) string {
	value, _ := c.body[name].(string)
	return value
}
