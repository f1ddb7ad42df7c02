package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// maxFilterTasks is how many tasks one filter asks for: their IDs make a URL of 4 KB, and what stands before a server often takes no
// more than 8. On a node of 40,000 services Consul (1.22.7) takes 60 ms for it, as for one task: it looks at each service of the node.
// For 10,000 deaths that is 6 s of a server's core in the minute and a half that the removal takes, while another batch is
// removed. Consul has no list by what a service's meta says, and one by the services' names has a read each.
const maxFilterTasks = 100

// NodeService is a service instance on the synthetic node. TaskID is "" where it is not a task's, Namespace where Consul has none.
type NodeService struct {
	ID, Name, TaskID string
	Namespace        string
}

// NodeServices lists the service instances on the node, proxies among them, of all namespaces where there are some. Without the
// node, found is false.
func (c *Connection) NodeServices(ctx context.Context, node string) (services []NodeService, found bool, err error) {
	return c.nodeServices(ctx, node, "")
}

// ServicesOf is NodeServices for the tasks with the IDs alone: what is sent does not grow with the node's other services.
func (c *Connection) ServicesOf(ctx context.Context, node string, taskIDs []string) (services []NodeService, found bool, err error) {
	found = true
	for batch := range slices.Chunk(taskIDs, maxFilterTasks) {
		var some []NodeService
		if some, found, err = c.nodeServices(ctx, node, ofTasks(batch)); err != nil || !found {
			return nil, false, err
		}
		services = append(services, some...)
	}
	return services, found, nil
}

// ofTasks is the filter for the services of tasks. One expression is two to ten times cheaper for Consul than a comparison a task.
func ofTasks(taskIDs []string) string {
	var quoted []string
	for _, id := range taskIDs {
		if !strings.Contains(id, "`") { // which no task's ID does
			quoted = append(quoted, regexp.QuoteMeta(id))
		}
	}
	return fmt.Sprintf("Meta[%q] matches `^(%s)$`", mesh.MetaTaskID, strings.Join(quoted, "|"))
}

func (c *Connection) nodeServices(ctx context.Context, node, filter string) (services []NodeService, found bool, err error) {
	query := url.Values{}
	if filter != "" {
		query.Set("filter", filter)
	}
	names := texts{}
	err = c.stream(c.inNamespace(ctx, everyNamespace), "/v1/catalog/node-services/"+node, query, func(d *json.Decoder) error {
		return fields(d, func(key string) error {
			switch key {
			case "Node":
				var is *struct{}
				err := d.Decode(&is)
				found = is != nil
				return err
			case "Services":
				return elements(d, func(s struct {
					ID, Service, Namespace string
					Meta                   map[string]string
				}) {
					services = append(services, NodeService{
						ID: s.ID, Name: names.one(s.Service), TaskID: s.Meta[mesh.MetaTaskID], Namespace: names.one(s.Namespace),
					})
				})
			}
			return d.Decode(&json.RawMessage{})
		})
	})
	if err != nil {
		return nil, false, fmt.Errorf("list services of node %s: %w", node, aclRefusal(err))
	}
	return services, found, nil
}

// EnsureNode makes sure that the synthetic node is in the catalog, as nothing else lets a task's service token register
// a service on it. Meta of an operator stays. It reports whether it wrote.
func (c *Connection) EnsureNode(ctx context.Context, node string, address netip.Addr) (wrote bool, err error) {
	want := api.CatalogRegistration{Node: node, Address: address.String(), Partition: c.settings.Scope.Partition}
	wrote, err = ensureNode(ctx, c.http, want)
	return wrote, aclRefusal(err)
}

func ensureNode(ctx context.Context, client *api.Client, want api.CatalogRegistration) (wrote bool, err error) {
	have, err := findNode(ctx, client, want.Node)
	if err != nil {
		return false, err
	}
	want.NodeMeta = map[string]string{}
	if have != nil {
		if have.Address == want.Address && have.Meta[mesh.NodeMetaSynthetic] == mesh.NodeMetaSyntheticValue {
			return false, nil
		}
		want.ID, want.TaggedAddresses, want.Locality = have.ID, have.TaggedAddresses, have.Locality
		maps.Copy(want.NodeMeta, have.Meta)
	}
	want.NodeMeta[mesh.NodeMetaSynthetic] = mesh.NodeMetaSyntheticValue
	if _, err := client.Catalog().Register(&want, write(ctx)); err != nil {
		return false, fmt.Errorf("register node %s: %w", want.Node, err)
	}
	return true, nil
}

// findNode reads the node without the services on it, nil where there is none.
func findNode(ctx context.Context, client *api.Client, node string) (*api.Node, error) {
	list, _, err := client.Catalog().Nodes((&api.QueryOptions{Filter: fmt.Sprintf("Node == %q", node)}).WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("read node %s: %w", node, err)
	}
	if len(list) == 0 {
		return nil, nil
	}
	return list[0], nil
}
