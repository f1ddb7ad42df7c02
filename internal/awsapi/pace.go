package awsapi

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	smithymiddleware "github.com/aws/smithy-go/middleware"
)

// Paced is the configuration of clients each of whose requests waits for its turn, repeated ones too: AWS's quotas count those.
// A wait that fails, as one does whose context ends, fails the call.
func Paced(cfg aws.Config, wait func(context.Context) error) aws.Config {
	cfg = cfg.Copy()
	cfg.APIOptions = append(slices.Clone(cfg.APIOptions), func(stack *smithymiddleware.Stack) error {
		return eachRequest(stack, smithymiddleware.FinalizeMiddlewareFunc("consulecs.Pace",
			func(ctx context.Context, in smithymiddleware.FinalizeInput, next smithymiddleware.FinalizeHandler) (smithymiddleware.FinalizeOutput, smithymiddleware.Metadata, error) {
				if err := wait(ctx); err != nil {
					return smithymiddleware.FinalizeOutput{}, smithymiddleware.Metadata{}, err
				}
				return next.HandleFinalize(ctx, in)
			}))
	})
	return cfg
}
