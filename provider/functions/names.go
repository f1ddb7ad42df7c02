package functions

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/function"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskverdict"
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
			MarkdownDescription: "The tags by which Consul knows whose IAM role a task role is, for users who make the role themselves. The role also has to lie below the role path, and needs `iam:GetRole` on itself. Of a task of several services these are the tags of the first one; the name of the second is in a tag `" + mesh.RoleTagOfService(1) + "` besides, and so on.",
			Parameters:          []function.Parameter{text("service", "Name of the Consul service.")},
			VariadicParameter:   text("namespace", "Namespace of the service, of Consul Enterprise. Default: none."),
			Return:              texts,
		},
		run: func(ctx context.Context, args function.ArgumentsData, result *function.ResultData) *function.FuncError {
			var service string
			var namespaces []string
			if problem := args.Get(ctx, &service, &namespaces); problem != nil {
				return problem
			}
			if err := mesh.CheckServiceName(service); err != nil {
				return refusal(0, err.Error())
			}
			if len(namespaces) > 1 {
				return refusal(2, fmt.Sprintf("got %d namespaces, want one at the most: a service lies in one", len(namespaces)))
			}
			namespace := strings.Join(namespaces, "")
			if err := agentconfig.CheckScopeName(namespace); err != nil {
				return refusal(1, "namespace "+err.Error())
			}
			return result.Set(ctx, iamrole.MeshTags(service, namespace))
		},
	}
}
