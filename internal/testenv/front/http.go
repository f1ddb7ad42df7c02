package front

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// strip notes the scopes in a request of the HTTP API and takes them out.
func (c *Consul) strip(r *http.Request) error {
	call := r.Method + " " + r.URL.Path
	query := r.URL.Query()
	c.note(call, "query", mesh.Scope{Partition: query.Get("partition"), Namespace: query.Get("ns")})
	query.Del("partition")
	query.Del("ns")
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

// scoped tells which objects of a request have a scope of their own: those of the catalog's writes and config entries.
// Their place is the last key on the way to them.
func scoped(path []string, object map[string]any) bool {
	switch {
	case len(path) == 0:
		return object["Node"] != nil || object["Kind"] != nil
	case path[len(path)-1] == "Service" || path[len(path)-1] == "Check":
		return object["Service"] != nil && object["Verb"] == nil || object["CheckID"] != nil
	default:
		return path[len(path)-1] == "Checks"
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
