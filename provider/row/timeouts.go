package row

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// DefaultTimeout is how long a create, an update or a delete may take.
const DefaultTimeout = 20 * time.Minute

// WithTimeout runs act with a deadline that its errors speak of.
func WithTimeout(ctx context.Context, limit time.Duration, act func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %v, the limit in timeouts", limit))
	defer cancel()
	return act(ctx)
}

// NoTimeouts is the block left out, for a model that no configuration was read into.
func NoTimeouts() timeouts.Value {
	fields := map[string]attr.Type{}
	for _, act := range []string{"create", "update", "delete"} {
		fields[act] = types.StringType
	}
	return timeouts.Value{Object: types.ObjectNull(fields)}
}
