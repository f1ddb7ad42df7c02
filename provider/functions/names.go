package functions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskverdict"
	"github.com/consulecs/terraform-provider-consulecs/provider/given"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// serviceID names the instance of a service that a task is.
func serviceID() pure {
	return named("service_id", "ID of a task's service instance", "The ID, in Consul's catalog, of the service instance that a task is.", mesh.ServiceID)
}

// proxyID names the sidecar proxy of a task.
func proxyID() pure {
	return named("proxy_id", "ID of a task's sidecar proxy", "The ID, in Consul's catalog, of the sidecar proxy of a task.", func(service, task string) string {
		return mesh.ProxyID(mesh.ServiceID(service, task))
	})
}

// named is a function that makes a name of those of a service and of a task.
func named(name, summary, description string, of func(service, taskID string) string) pure {
	return pure{
		name: name,
		what: function.Definition{
			Summary: summary, MarkdownDescription: description,
			Parameters: []function.Parameter{text("service", "Name of the Consul service."), text("task", "ARN or ID of the ECS task.")},
			Return:     function.StringReturn{},
		},
		run: func(ctx context.Context, args function.ArgumentsData, result *function.ResultData) *function.FuncError {
			var service, task string
			if problem := args.Get(ctx, &service, &task); problem != nil {
				return problem
			}
			var problems *function.FuncError
			if err := mesh.CheckServiceName(service); err != nil {
				problems = function.ConcatFuncErrors(problems, refusal(0, err.Error()))
			}
			id, err := taskverdict.ParseID(task)
			if err != nil {
				problems = function.ConcatFuncErrors(problems, refusal(1, err.Error()))
			}
			if problems != nil {
				return problems
			}
			return result.Set(ctx, of(service, id))
		},
	}
}

// taskRoleTags are the tags of a task role.
func taskRoleTags() pure {
	return pure{
		name: "task_role_tags",
		what: function.Definition{
			Summary:             "Tags of a task role",
			MarkdownDescription: "The tags by which Consul knows whose IAM role a task role is, for users who make the role themselves. The role also has to lie below the role path, and needs `iam:GetRole` on itself.",
			Parameters:          []function.Parameter{object("service", "Name of the Consul service. Of a task of several services the list of their names, the first one first.")},
			VariadicParameter:   text("namespace", "Namespace of the services, of Consul Enterprise. Default: none."),
			Return:              texts,
		},
		run: func(ctx context.Context, args function.ArgumentsData, result *function.ResultData) *function.FuncError {
			var dynamic types.Dynamic
			var namespaces []string
			if problem := args.Get(ctx, &dynamic, &namespaces); problem != nil {
				return problem
			}
			value, err := dynamic.ToTerraformValue(ctx)
			if err != nil {
				return refusal(0, err.Error())
			}
			if !value.IsFullyKnown() {
				return result.Set(ctx, types.MapUnknown(types.StringType))
			}
			services, err := serviceNames(value)
			if err != nil {
				return refusal(0, err.Error())
			}
			if len(namespaces) > 1 {
				return refusal(2, fmt.Sprintf("got %d namespaces, want one at the most: a service lies in one", len(namespaces)))
			}
			namespace := strings.Join(namespaces, "")
			if err := agentconfig.CheckScopeName(namespace); err != nil {
				return refusal(1, "namespace "+err.Error())
			}
			return result.Set(ctx, iamrole.MeshTags(services[0], namespace, services[1:]...))
		},
	}
}

// serviceNames are those that a text, or a list of texts, says: of the services that a task may be.
func serviceNames(v tftypes.Value) ([]string, error) {
	var names []string
	switch {
	case v.Type().Is(tftypes.Set{}):
		return nil, errors.New("got a set, want a list: the first service is the one that comes first")
	case v.Type().Is(tftypes.List{}), v.Type().Is(tftypes.Tuple{}):
		read, wrong := given.Read(v, tftypes.List{ElementType: tftypes.String}, row.OftenAlone)
		if err := wrong.Err(); err != nil {
			return nil, err
		}
		var elements []tftypes.Value
		_ = read.As(&elements) // it is what was asked for
		for _, element := range elements {
			names = append(names, textIn(element))
		}
	default:
		read, wrong := given.Read(v, tftypes.String, row.OftenAlone)
		if err := wrong.Err(); err != nil {
			return nil, err
		}
		names = []string{textIn(read)}
	}
	if n := len(names); n == 0 || n > mesh.MaxServices {
		return nil, fmt.Errorf("got %d names, want 1 to %d: a task is so many services", n, mesh.MaxServices)
	}
	for i, name := range names {
		if err := mesh.CheckServiceName(name); err != nil {
			return nil, err
		}
		if slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("got the name %q twice: the services of a task have a name each", name)
		}
	}
	return names, nil
}

func textIn(v tftypes.Value) (text string) {
	_ = v.As(&text) // it is one
	return text
}
