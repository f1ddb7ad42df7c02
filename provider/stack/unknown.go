package stack

import (
	"context"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Local is a value that follows into the definitions of these containers alone.
type Local struct {
	Containers []string
	ForRoles   bool // the execution role's rights follow from it, too
}

// Computed attributes that the steps below name.
const (
	attributeContainers = "rendered_container_definitions_json"
	attributeConfig     = "agent_config_json"
	attributeRoles      = "rendered_roles_json"
)

// planDraft is the plan of a design some of whose content is not known yet. Without a draft, nothing is known.
func (s *Stack[M]) planDraft(m *M, had deploy.Before, home iamrole.Home) (deploy.Design, deploy.Planned) {
	want, err := s.Kind.Design(m, s.Client.Defaults, home, true)
	if err != nil {
		return want, deploy.AllOpen()
	}
	p, err := want.Plan(had)
	if err != nil {
		return want, deploy.AllOpen()
	}
	return want, p
}

// open opens the attributes that follow from values which are not known yet, and no others: what is unknown in a plan makes
// other resources change.
func (s *Stack[M]) open(p *deploy.Planned, m *M, unknown []problem.Path) {
	var everywhere, elsewhere []problem.Path // beyond its containers; beyond them and the roles
	for _, place := range unknown {
		local, ok := s.local(m, place)
		if ok {
			p.OpenContainers = append(p.OpenContainers, local.Containers...)
		} else {
			everywhere = append(everywhere, place)
		}
		if !ok || local.ForRoles {
			elsewhere = append(elsewhere, place)
		}
	}
	if row.Affects(unknown, s.Kind.Content...) {
		for _, name := range []string{"arn", "revision", "content_hash"} {
			p.Open[name] = true
		}
		p.Open["ecs_service_running_arn"] = p.Open["ecs_service_running_arn"] || p.ECSServiceARN != nil || p.Open["ecs_service_arn"]
	}
	p.Open[attributeContainers] = p.Open[attributeContainers] || row.Affects(everywhere, s.Kind.Content...)
	p.Open[attributeConfig] = p.Open[attributeConfig] || row.Affects(everywhere, s.Kind.Content...)
	p.Open[attributeRoles] = p.Open[attributeRoles] || row.Affects(elsewhere, append([]string{"tags", "default_tags"}, s.Kind.Content...)...)
	for name, from := range s.Kind.Depends {
		p.Open[name] = p.Open[name] || row.Affects(unknown, from...)
	}
}

func (s *Stack[M]) local(m *M, place problem.Path) (Local, bool) {
	if s.Kind.Local == nil {
		return Local{}, false
	}
	return s.Kind.Local(m, place)
}

// openContainers opens the elements of the containers, where the whole is not open. A container that the task will not have, such
// as a ready gate that is off, has no element to open.
func openContainers(ctx context.Context, plan *tfsdk.Plan, p deploy.Planned) diag.Diagnostics {
	var diags diag.Diagnostics
	if p.Open[attributeContainers] {
		return diags
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(p.OpenContainers))) {
		if _, has := p.Containers[name]; !has {
			continue
		}
		diags.Append(plan.SetAttribute(ctx, path.Root(attributeContainers).AtMapKey(name), types.StringUnknown())...)
	}
	return diags
}
