package stack

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
)

// Companion is what a resource needs beside what is its own, and shares with other resources.
type Companion[M any] struct {
	// Plan sets what a plan knows of it in the planned model, before the further computed attributes are named.
	Plan func(ctx context.Context, c *deploy.Client, m, state *M, unknown []problem.Path, diags *diag.Diagnostics)
	// Look reads what there is of it into the model.
	Look func(context.Context, *deploy.Client, *M) error
	// Apply makes it ready, has act make the resource's own, and gives up what the state used of it and the model does not.
	Apply func(ctx context.Context, c *deploy.Client, m, state *M, act func(context.Context) error) error
	// Leave gives it up, once the resource's own is gone.
	Leave func(context.Context, *deploy.Client, *M) error
}

// accompanied has act make the resource's own, beside its companion. The state of a new resource is empty.
func (s *Stack[M]) accompanied(ctx context.Context, m, state *M, act func(context.Context) error) error {
	if s.Kind.Companion == nil {
		return act(ctx)
	}
	return s.Kind.Companion.Apply(ctx, s.Client, m, state, act)
}
