package stack

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Following is how a resource follows the images of revisions that others register, CI for instance.
type Following[M any] struct {
	Switch     string // the attribute that asks for it
	Asked      func(*M) bool
	Containers func(*M) []string // names of those that the user configured

	// See has a model, as it was applied, take over the images of the newest revision, a foreign or an own one.
	See func(m *M, images map[string]string, foreign bool)
	// Plan has a planned model take over what the state follows, or, where that was not asked for before, the images of a foreign
	// revision or of an imported one. It returns the places whose values the definition still waits for.
	Plan func(m, state *M, images map[string]string, unknown []problem.Path) []problem.Path
	// Keep has the state take over what an update followed that failed: it may have registered a revision with these images, on top of
	// the one that they come from.
	Keep func(state, m *M)
}

// keyed is what is kept beside a state.
type keyed interface {
	GetKey(context.Context, string) ([]byte, diag.Diagnostics)
}

// foreignKey is the key, beside the state, of the number of the newest revision where others registered it, as the last refresh
// found out: the state's tags are those of the configuration then, so they cannot tell.
const foreignKey = "foreign_revision"

// kept reads a value; the zero value where none is kept, or one that another version kept.
func kept[T any](ctx context.Context, beside keyed, key string) (v T, diags diag.Diagnostics) {
	text, diags := beside.GetKey(ctx, key)
	if json.Unmarshal(text, &v) != nil {
		return *new(T), diags
	}
	return v, diags
}

// see finds out whether others registered the newest revision, remembers it, and follows it where that is asked for. Such a revision
// is left as it is, so that tags which it lacks are no difference.
func (s *Stack[M]) see(ctx context.Context, m *M, had deploy.Before, beside private) diag.Diagnostics {
	p := s.Kind.Parts(m)
	foreign, number := deploy.IsForeign(*p.Outcome, s.Kind.Owner(m, s.Client.Region).Name, had.Revisions), int64(0)
	if foreign {
		number = *p.Outcome.Revision
	}
	if f := s.Kind.Following; f != nil && f.Asked(m) {
		f.See(m, deploy.Images(p.Outcome.Containers), foreign)
		if foreign && had.Outcome.TagsAll != nil {
			p.Outcome.TagsAll = had.Outcome.TagsAll
		}
	}
	was, diags := kept[int64](ctx, beside, foreignKey)
	if number != was {
		diags.Append(beside.SetKey(ctx, foreignKey, strconv.AppendInt(nil, number, 10))...)
	}
	return diags
}

// follow has a planned model take over the images that are followed, and returns the places whose values the definition waits for.
func (s *Stack[M]) follow(m, state *M, had deploy.Before, unknown []problem.Path) []problem.Path {
	if s.Kind.Following == nil {
		return unknown
	}
	var images map[string]string
	if had.Foreign || had.Revisions == nil { // of what was imported, nobody knows for sure who registered it
		images = deploy.Images(had.Outcome.Containers)
	}
	return s.Kind.Following.Plan(m, state, images, unknown)
}

// openForeign opens what depends on whether a foreign revision may stay the newest: an own one is registered on top of it if the
// tags differ.
func (s *Stack[M]) openForeign(p *deploy.Planned, m *M, had deploy.Before, unknown []problem.Path) {
	f := s.Kind.Following
	if f == nil || !had.Foreign || !row.Affects(unknown, f.Switch) && !(f.Asked(m) && p.Open["tags_all"]) {
		return
	}
	for _, name := range []string{"arn", "revision"} {
		p.Open[name] = true
	}
	p.Open["ecs_service_running_arn"] = p.Open["ecs_service_running_arn"] || p.ECSServiceRunning != nil
}

// warnOfReverted names the foreign revision that the apply registers another one on top of, without following its images.
func (s *Stack[M]) warnOfReverted(p deploy.Planned, m, state *M, had deploy.Before, unknown []problem.Path, diags *diag.Diagnostics) {
	f := s.Kind.Following
	family := s.Kind.Parts(m).Family
	if f == nil || !had.Foreign || !p.Open["arn"] || f.Asked(m) || row.Affects(unknown, f.Switch) || family != s.Kind.Parts(state).Family {
		return
	}
	revision := fmt.Sprintf("%s:%d", family, row.Value(had.Outcome.Revision))
	text := fmt.Sprintf("Task definition %s was not registered by this resource. The apply registers a revision on top of it that follows from the configuration alone", revision)
	if changes := imageChanges(f.Containers(m), deploy.Images(had.Outcome.Containers), deploy.Images(p.Containers)); len(changes) > 0 {
		text += fmt.Sprintf(": the image of %s. To keep such images, set %s = true, or write them into the configuration.", strings.Join(changes, ", that of "), f.Switch)
	} else {
		text += ". The images stay; what else differs shows in rendered_definition_json and rendered_container_definitions_json: to keep it, write it into the configuration."
	}
	diags.AddWarning("Revision "+revision+" is reverted", text)
}

// imageChanges are the containers whose images change, each with the former and the next one.
func imageChanges(containers []string, from, to map[string]string) []string {
	var changes []string
	for _, name := range slices.Sorted(maps.Keys(from)) {
		if slices.Contains(containers, name) && from[name] != to[name] {
			changes = append(changes, fmt.Sprintf("container %s goes from %s to %s", name, from[name], cmp.Or(to[name], "one that is not known yet")))
		}
	}
	return changes
}
