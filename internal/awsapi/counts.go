package awsapi

import (
	"context"
	"errors"
	"strings"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	smithymiddleware "github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Reasons for which a request fails, few enough to count by.
const (
	FailedThrottled   = "throttled"   // too many were made
	FailedDenied      = "denied"      // the caller may not
	FailedRefused     = "refused"     // by a client's error of another kind
	FailedServer      = "server"      // by the server's own trouble
	FailedUnreachable = "unreachable" // no answer came
)

// Counter hears of each request that was sent, repeated ones each: the service in small letters, the operation as AWS names it,
// and one of the reasons of this package, "" where it went well. It is called from many goroutines.
type Counter func(service, operation, reason string)

// count has the counter hear of requests. It stands behind the SDK's retries, which are requests for AWS's quotas.
func count(counter Counter) func(*smithymiddleware.Stack) error {
	return func(stack *smithymiddleware.Stack) error {
		m := smithymiddleware.FinalizeMiddlewareFunc("consulecs.Count",
			func(ctx context.Context, in smithymiddleware.FinalizeInput, next smithymiddleware.FinalizeHandler) (smithymiddleware.FinalizeOutput, smithymiddleware.Metadata, error) {
				out, metadata, err := next.HandleFinalize(ctx, in)
				service := strings.ToLower(strings.ReplaceAll(awsmiddleware.GetServiceID(ctx), " ", ""))
				counter(service, awsmiddleware.GetOperationName(ctx), failure(ctx, err))
				return out, metadata, err
			})
		return eachRequest(stack, m)
	}
}

// eachRequest puts a middleware where it sees the SDK's repeated requests, too.
func eachRequest(stack *smithymiddleware.Stack, m smithymiddleware.FinalizeMiddleware) error {
	if _, retries := stack.Finalize.Get("Retry"); retries {
		return stack.Finalize.Insert(m, "Retry", smithymiddleware.After)
	}
	return stack.Finalize.Add(m, smithymiddleware.Before)
}

// failure is the reason for an error. A call that its own caller gave up, as a long poll at the end of a program, is none.
func failure(ctx context.Context, err error) string {
	var response *smithyhttp.ResponseError
	switch {
	case err == nil || ctx.Err() != nil && errors.Is(err, context.Canceled):
		return ""
	case IsThrottled(err):
		return FailedThrottled
	case IsAccessDenied(err):
		return FailedDenied
	case IsRefused(err):
		return FailedRefused
	case errors.As(err, &response) && response.HTTPStatusCode() != 0:
		return FailedServer
	default:
		return FailedUnreachable
	}
}
