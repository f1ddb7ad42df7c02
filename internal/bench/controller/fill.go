package controllerbench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	iamauth "github.com/hashicorp/consul-awsauth"
	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

const (
	servicesPerTask = 2   // itself and its proxy
	tokensPerTask   = 2   // mesh-init's has logged out; those of health-sync and the dataplane stay
	maxTxnOps       = 128 // of Consul
)

// bearers are bearer tokens for all logins, one a task family: the simulated STS believes each any number of times.
func bearers(a *simAWS) (map[string]string, error) {
	all := map[string]string{}
	for i := range families {
		var err error
		if all[family(i)], err = bearer(a, family(i)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func bearer(a *simAWS, role string) (string, error) {
	data, err := iamauth.GenerateLoginData(&iamauth.LoginInput{
		Creds: credentials.NewStaticCredentialsProvider(role, "bench", ""), IncludeIAMEntity: true,
		STSEndpoint: a.url, IAMEndpoint: a.url, STSRegion: account.Region, Logger: hclog.NewNullLogger(),
		GetEntityMethodHeader: "X-Consul-IAM-GetEntity-Method", GetEntityURLHeader: "X-Consul-IAM-GetEntity-URL",
		GetEntityHeadersHeader: "X-Consul-IAM-GetEntity-Headers", GetEntityBodyHeader: "X-Consul-IAM-GetEntity-Body",
	})
	if err != nil {
		return "", fmt.Errorf("make a bearer token: %w", err)
	}
	text, err := json.Marshal(data)
	return string(text), err
}

// fill starts n tasks, each with a service and a proxy in the catalog, and with tokens of real logins.
func (w *world) fill(ctx context.Context, n int) error {
	began := time.Now()
	var tasks []*simTask
	for i := range n {
		tasks = append(tasks, w.aws.ecs.start(family(i)))
	}
	refused, err := w.register(ctx, tasks)
	if err != nil {
		return err
	}
	registered := time.Since(began)
	again, err := w.logIn(ctx, tasks)
	if err != nil {
		return err
	}
	if n >= 100 {
		w.Say("%d tasks: their services took %.1f s, their %d logins %.1f s; %d writes were refused and sent again",
			n, registered.Seconds(), n*tokensPerTask, (time.Since(began) - registered).Seconds(), refused+again)
	}
	w.alive = append(w.alive, tasks...)
	return nil
}

// register puts services into the catalog, in transactions as large as Consul takes them.
func (w *world) register(ctx context.Context, tasks []*simTask) (refused int, err error) {
	for chunk := range slices.Chunk(tasks, maxTxnOps/servicesPerTask) {
		var ops api.TxnOps
		for _, t := range chunk {
			ops = append(ops, registrations(t)...)
		}
		times, err := insist(ctx, "register services", func(ctx context.Context) error {
			ok, answer, _, err := w.servers.client().Txn().Txn(ops, (&api.QueryOptions{}).WithContext(ctx))
			if err == nil && !ok {
				err = api.StatusError{Code: http.StatusConflict, Body: fmt.Sprint(answer.Errors)}
			}
			return err
		})
		if refused += times; err != nil {
			return refused, err
		}
	}
	return refused, nil
}

// logIn has each of the tasks log in as often as it keeps tokens. A login whose answer is lost leaves a token that nobody here knows:
// it goes with its task's others.
func (w *world) logIn(ctx context.Context, tasks []*simTask) (refused int, err error) {
	return paced(ctx, len(tasks)*tokensPerTask, "log in", func(ctx context.Context, i int) error {
		t := tasks[i/tokensPerTask]
		token, _, err := w.servers.client().ACL().Login(&api.ACLLoginParams{
			AuthMethod: mesh.AuthMethod, BearerToken: w.bearers[t.family],
			Meta: map[string]string{mesh.LoginMetaTaskID: t.id, mesh.LoginMetaCluster: ecsCluster},
		}, (&api.WriteOptions{}).WithContext(ctx))
		if err != nil {
			return err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.tokens[t.id] = append(w.tokens[t.id], token.AccessorID)
		return nil
	})
}

// registrations are those of a task's service and proxy. They have no checks: for each check that is written, Consul reads all
// checks of its node, so that those of ten thousand tasks would take it a quarter of an hour; what is removed costs the same.
func registrations(t *simTask) (ops api.TxnOps) {
	id := mesh.ServiceID(t.family, t.id)
	for _, s := range []api.AgentService{{ID: id, Service: t.family}, {ID: mesh.ProxyID(id), Service: mesh.ProxyName(t.family), Kind: api.ServiceKindConnectProxy}} {
		s.Address, s.Port = "10.0.0.1", 8080
		s.Meta = map[string]string{mesh.MetaTaskID: t.id, mesh.MetaTaskARN: account.Task(ecsClusterName, t.id), mesh.MetaSource: mesh.Source}
		if s.Kind != "" {
			s.Proxy = &api.AgentServiceConnectProxyConfig{DestinationServiceName: t.family, DestinationServiceID: id, LocalServicePort: 8080}
		}
		ops = append(ops, &api.TxnOp{Service: &api.ServiceTxnOp{Verb: api.ServiceSet, Node: ecsCluster, Service: s}})
	}
	return ops
}

// left says what Consul still holds of tasks, "" for nothing. It asks one by one where they are few.
func (w *world) left(ctx context.Context, tasks []*simTask) (missing string, err error) {
	services, tokens, err := w.count(ctx, tasks)
	if err == nil && services+tokens > 0 {
		missing = fmt.Sprintf("%d services and %d tokens are left", services, tokens)
	}
	return missing, err
}

func (w *world) count(ctx context.Context, tasks []*simTask) (services, tokens int, err error) {
	read := (&api.QueryOptions{}).WithContext(ctx)
	if len(tasks) <= 3 {
		return w.countOf(read, tasks)
	}
	dead := map[string]bool{}
	for _, t := range tasks {
		dead[t.id] = true
	}
	list, _, err := w.servers.client().Catalog().NodeServiceList(ecsCluster, read)
	if err != nil {
		return 0, 0, err
	}
	for _, s := range list.Services {
		if dead[s.Meta[mesh.MetaTaskID]] {
			services++
		}
	}
	if w.expiring {
		return services, 0, nil
	}
	all, _, err := w.servers.client().ACL().TokenListFiltered(api.ACLTokenFilterOptions{AuthMethod: mesh.AuthMethod}, read)
	if err != nil {
		return 0, 0, err
	}
	for _, t := range all {
		_, rest, _ := strings.Cut(t.Description, mesh.LoginMetaTaskID+`":"`)
		if id, _, _ := strings.Cut(rest, `"`); dead[id] {
			tokens++
		}
	}
	return services, tokens, nil
}

func (w *world) countOf(read *api.QueryOptions, tasks []*simTask) (services, tokens int, err error) {
	for _, t := range tasks {
		found, _, err := w.servers.client().Catalog().NodeServiceList(ecsCluster, &api.QueryOptions{Filter: fmt.Sprintf("Meta[%q] == %q", mesh.MetaTaskID, t.id)})
		if err != nil {
			return 0, 0, err
		}
		services += len(found.Services)
		for _, accessor := range w.tokens[t.id] {
			if _, _, err := w.servers.client().ACL().TokenRead(accessor, read); err == nil {
				tokens++
			} else if !strings.Contains(err.Error(), "404") && !strings.Contains(err.Error(), "ACL not found") {
				return 0, 0, err
			}
		}
	}
	return services, tokens, nil
}

// deleteTokens does what time does where tokens expire.
func (w *world) deleteTokens(ctx context.Context, dead []*simTask) error {
	var accessors []string
	for _, t := range dead {
		accessors = append(accessors, w.tokens[t.id]...)
	}
	_, err := paced(ctx, len(accessors), "delete a token", func(ctx context.Context, i int) error {
		_, err := w.servers.client().ACL().TokenDelete(accessors[i], (&api.WriteOptions{}).WithContext(ctx))
		if err != nil && strings.Contains(err.Error(), "404") {
			return nil // it went with a try that had no answer
		}
		return err
	})
	return err
}
