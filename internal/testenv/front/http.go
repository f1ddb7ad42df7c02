package front

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// ofMethod is the key for the namespace of an auth method whose tokens are asked for.
const ofMethod = "authmethod-ns"

// Namespaces are those that every partition has.
var Namespaces = []string{"default", "team"}

// namespaces answers a request for them.
func namespaces(w http.ResponseWriter) {
	var list []map[string]string
	for _, name := range Namespaces {
		list = append(list, map[string]string{"Name": name})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(list) // the client is gone otherwise
}

// askedKey is under which a request knows the namespace that was asked for.
type askedKey struct{}

func asked(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), askedKey{}, r.URL.Query().Get("ns")))
}

// tellNamespace has a list of ACL tokens say that they are of the namespace that was asked for.
func tellNamespace(resp *http.Response) error {
	namespace, _ := resp.Request.Context().Value(askedKey{}).(string)
	if resp.Request.URL.Path != "/v1/acl/tokens" || namespace == "" || resp.StatusCode != http.StatusOK {
		return nil
	}
	var list []map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		return err
	}
	for _, token := range list {
		token["Namespace"] = namespace
	}
	body, err := json.Marshal(list)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.Header.Del("Content-Length")
	resp.ContentLength = int64(len(body))
	return err
}

// strip notes the scopes in a request of the HTTP API and takes them out.
func (c *Consul) strip(r *http.Request) error {
	call := r.Method + " " + r.URL.Path
	query := r.URL.Query()
	c.note(call, "query", mesh.Scope{Partition: query.Get("partition"), Namespace: query.Get("ns")})
	if of := query.Get(ofMethod); of != "" {
		c.note(call, "query "+ofMethod, mesh.Scope{Namespace: of})
	}
	for _, key := range []string{"partition", "ns", ofMethod} {
		query.Del(key)
	}
	r.URL.RawQuery = query.Encode()

	body, err := io.ReadAll(r.Body)
	if err != nil || len(body) == 0 {
		return err
	}
	var plain any
	if err := json.Unmarshal(body, &plain); err != nil {
		return fmt.Errorf("%s: %w", call, err)
	}
	c.stripBody(call, plain, nil)
	if body, err = json.Marshal(plain); err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return nil
}

// scoped tells which objects of a request have a scope of their own: those of the catalog's writes, of config entries and of keys.
// Their place is the last key on the way to them.
func scoped(path []string, object map[string]any) bool {
	switch {
	case len(path) == 0:
		return object["Node"] != nil || object["Kind"] != nil
	case path[len(path)-1] == "Service" || path[len(path)-1] == "Check":
		return object["Service"] != nil && object["Verb"] == nil || object["CheckID"] != nil
	default:
		return path[len(path)-1] == "Checks" || path[len(path)-1] == "KV"
	}
}

func (c *Consul) stripBody(call string, plain any, path []string) {
	switch plain := plain.(type) {
	case []any:
		for _, element := range plain {
			c.stripBody(call, element, path)
		}
	case map[string]any:
		if scoped(path, plain) {
			partition, _ := plain["Partition"].(string)
			namespace, _ := plain["Namespace"].(string)
			c.note(call, "body "+strings.Join(path, "."), mesh.Scope{Partition: partition, Namespace: namespace})
		}
		delete(plain, "Partition")
		delete(plain, "Namespace")
		for key, value := range plain {
			c.stripBody(call, value, append(path[:len(path):len(path)], key))
		}
	}
}
