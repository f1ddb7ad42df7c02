package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// replacedKey is the key, in the private data of a plan, of the owner's ID. Terraform plans the replacement of a resource in two
// steps, the second without a state, and hands on the private data of the first.
const replacedKey = "replaced"

// private is the data that Terraform keeps beside a plan or a state, for the provider alone.
type private interface {
	keyed
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}

// named says which names a plan knows.
func (s *Stack[M]) named(p deploy.Planned, unknown []problem.Path) deploy.Named {
	return deploy.Named{
		Family: !row.Affects(unknown, "family", "cluster", "name"), TaskRole: !p.Open["task_role_name"], ExecutionRole: !p.Open["execution_role_name"],
		Service: !row.Affects(unknown, s.Kind.Depends["ecs_service_arn"]...),
	}
}

// checkNames reports names that others have, before anything is made.
func (s *Stack[M]) checkNames(ctx context.Context, want deploy.Design, had deploy.Before, named deploy.Named, was, is private) diag.Diagnostics {
	var diags diag.Diagnostics
	if want.Family == "" { // not even a draft could be made
		return diags
	}
	at := path.Root(s.Kind.NameKey)
	replaced, problems := kept[string](ctx, was, replacedKey) // "": this is the first time
	diags.Append(problems...)
	if id := row.Value(had.Outcome.OwnerID); id != "" {
		text, _ := json.Marshal(id) // a text is written
		diags.Append(is.SetKey(ctx, replacedKey, text)...)
	}
	if had.Outcome.ARN != nil || replaced == "" {
		if twice := s.Client.PlannedTwice(want, had, named); len(twice) > 0 {
			diags.AddAttributeError(at, "Name planned twice",
				fmt.Sprintf("Another resource of this configuration is to have the same names: %s. Choose others.", strings.Join(twice, ", ")))
			return diags
		}
	}
	clashes, err := s.Client.Clashes(ctx, want, had, named, replaced)
	if err != nil {
		diags.AddAttributeError(at, "Names not looked up", err.Error())
	}
	for _, clash := range clashes {
		text := fmt.Sprintf("%s. To go on, %s.", clash, ownership.Remedy)
		if had.Outcome.ID == nil {
			diags.AddAttributeError(at, "Name taken", text)
		} else { // perhaps it was this resource's until another adopted it; the apply refuses, and Terraform plans a destroy, too
			diags.AddAttributeWarning(at, "Name taken", text)
		}
	}
	diags.Append(s.sayTakenOver(ctx, want, had, named)...)
	diags.Append(s.checkECSCluster(ctx, want, had, named)...)
	return diags
}

// sayTakenOver warns of what adopt_existing takes over: it is changed by the apply, and deleted by a destroy.
func (s *Stack[M]) sayTakenOver(ctx context.Context, want deploy.Design, had deploy.Before, named deploy.Named) diag.Diagnostics {
	var diags diag.Diagnostics
	at := path.Root("adopt_existing")
	taken, err := s.Client.TakenOver(ctx, want, had, named)
	if err != nil {
		diags.AddAttributeError(at, "Names not looked up", err.Error())
	}
	if len(taken) > 0 {
		diags.AddAttributeWarning(at, "Existing objects taken over", fmt.Sprintf(
			"The apply makes these its own, and a destroy deletes them:\n- %s\nTake them out of every other state without destroying them.", strings.Join(taken, "\n- ")))
	}
	return diags
}

// checkECSCluster warns of an ECS cluster that is not there: the same apply may make it, as where its name is known beforehand.
func (s *Stack[M]) checkECSCluster(ctx context.Context, want deploy.Design, had deploy.Before, named deploy.Named) diag.Diagnostics {
	var diags diag.Diagnostics
	if want.Service == nil || !named.Service || want.Service.SameName(had.Service) {
		return diags
	}
	ecsCluster := row.Value(want.Service.Cluster)
	active, err := s.Client.IsECSClusterActive(ctx, ecsCluster)
	switch {
	case err != nil:
		diags.AddAttributeError(s.Kind.Cluster, "ECS cluster not looked up", err.Error())
	case !active:
		diags.AddAttributeWarning(s.Kind.Cluster, "ECS cluster not active", fmt.Sprintf("There is no active ECS cluster %s. Unless the same apply makes it, ECS will refuse the service: correct the name, or create the cluster.", ecsCluster))
	}
	return diags
}
