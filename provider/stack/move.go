package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// A resource may go on with the task definition of another type, by a moved block. Terraform asks for the new state before it
// configures the provider, so that nothing can be looked up: the state names the definition, and the next refresh reads the rest.

// Moving is how a resource goes on with a task definition of another type.
type Moving[M any] struct {
	// Begin is the state of a family of which nothing else is known.
	Begin func(family string) *M
	// Continue reads into such a state what is there of the family. found is false where ECS has no ACTIVE revision of it.
	Continue func(context.Context, *deploy.Client, *M) (found bool, err error)
}

// movedKey is the key, beside a state that came by a move, of what is to be read first.
const movedKey = "moved"

// The type that a mesh task goes on with, and whose it is.
const (
	movedFromType     = "aws_ecs_task_definition"
	movedFromProvider = "hashicorp/aws"
)

// isMovedFrom reports whether an address is that provider's, of whichever registry. OpenTofu 1.10 says no more of it than its own name.
func isMovedFrom(provider string) bool {
	return provider == "aws" || strings.HasSuffix("/"+provider, "/"+movedFromProvider)
}

// definitionState is what counts of the state of a task definition in the AWS provider. All versions of its schema have it.
type definitionState struct {
	ARN    string `json:"arn"`
	Family string `json:"family"`
}

// MoveState implements resource.ResourceWithMoveState.
func (s *Stack[M]) MoveState(context.Context) []resource.StateMover {
	return []resource.StateMover{{StateMover: s.move}}
}

func (s *Stack[M]) move(ctx context.Context, req resource.MoveStateRequest, resp *resource.MoveStateResponse) {
	known := fmt.Sprintf("%s of the provider %s", movedFromType, movedFromProvider)
	if s.Kind.Moving == nil {
		resp.Diagnostics.AddError("Nothing moves to "+s.Kind.TypeName, fmt.Sprintf(
			"The state of %s of the provider %s cannot become that of a %s. Use an import block, and take the source out of the state by a removed block with destroy = false.",
			req.SourceTypeName, req.SourceProviderAddress, s.Kind.TypeName))
		return
	}
	if req.SourceTypeName != movedFromType || !isMovedFrom(req.SourceProviderAddress) {
		resp.Diagnostics.AddError("Move from an unknown type", fmt.Sprintf(
			"The state of %s of the provider %s cannot become that of a %s: %s alone can. Use an import block, and take the source out of the state by a removed block with destroy = false.",
			req.SourceTypeName, req.SourceProviderAddress, s.Kind.TypeName, known))
		return
	}
	was, err := definitionOf(req)
	if err != nil {
		resp.Diagnostics.AddError("State to move not readable", fmt.Sprintf(
			"The state of %s, of schema version %d, cannot become that of a %s: %s.", known, req.SourceSchemaVersion, s.Kind.TypeName, err))
		return
	}
	m := s.Kind.Moving.Begin(was.Family)
	s.Kind.Parts(m).Outcome.ARN = &was.ARN
	resp.Diagnostics.Append(resp.TargetState.Set(ctx, m)...)
	resp.Diagnostics.Append(s.Identify(ctx, m, resp.TargetIdentity)...)
	resp.Diagnostics.Append(resp.TargetPrivate.SetKey(ctx, movedKey, []byte("true"))...)
}

// definitionOf reads the state of a task definition.
func definitionOf(req resource.MoveStateRequest) (was definitionState, err error) {
	if req.SourceRawState == nil || len(req.SourceRawState.JSON) == 0 {
		return was, fmt.Errorf("it is not JSON, as Terraform writes it since 0.12")
	}
	if err := json.Unmarshal(req.SourceRawState.JSON, &was); err != nil {
		return was, fmt.Errorf("its arn and family are not to be read: %w", err)
	}
	if was.Family == "" {
		return was, fmt.Errorf("its family is %q, want a name", was.Family)
	}
	if parsed, err := arn.Parse(was.ARN); err != nil || parsed.Service != "ecs" || !strings.HasPrefix(parsed.Resource, "task-definition/") {
		return was, fmt.Errorf("its arn is %q, want that of a task definition", was.ARN)
	}
	return was, nil
}

// arrive completes a state that came by a move, on its first refresh. found is false where ECS has nothing of it any more.
func (s *Stack[M]) arrive(ctx context.Context, m *M, beside private) (found bool, diags diag.Diagnostics) {
	moved, diags := kept[bool](ctx, beside, movedKey)
	if !moved || s.Kind.Moving == nil || diags.HasError() {
		return true, diags
	}
	if _, err := s.Client.ReadImportID(ctx, row.Value(s.Kind.Parts(m).Outcome.ARN)); err != nil { // it may be of another account or Region
		diags.AddError(s.Kind.Title+" was not moved", err.Error())
		return false, diags
	}
	found, err := s.Kind.Moving.Continue(ctx, s.Client, m)
	if err != nil {
		diags.AddError(s.Kind.Title+" was not moved", err.Error())
	}
	return found, append(diags, s.arrived(ctx, beside)...)
}

// arrived notes that a state is whole.
func (s *Stack[M]) arrived(ctx context.Context, beside private) diag.Diagnostics {
	if moved, diags := kept[bool](ctx, beside, movedKey); !moved {
		return diags
	}
	return beside.SetKey(ctx, movedKey, []byte("false"))
}
