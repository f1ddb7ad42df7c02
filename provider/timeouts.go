package provider

import (
	"context"
	"fmt"
	"time"
)

// defaultTimeout is how long a create, an update or a delete may take.
const defaultTimeout = 20 * time.Minute

// withTimeout runs act with a deadline that its errors speak of.
func withTimeout(ctx context.Context, limit time.Duration, act func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %v, the limit in timeouts", limit))
	defer cancel()
	return act(ctx)
}
