package awsapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	smithymiddleware "github.com/aws/smithy-go/middleware"
)

// DefaultAttempts is how often a call is made at most, where Retries and the environment say nothing. Many resources are made
// at once under quotas of a call a second: each has to wait for its turn.
const DefaultAttempts = 25

// unreachableAttempts is how often an address is called that nobody listens at: most often it is wrong.
const unreachableAttempts = 8

// answerLimit is how long one attempt may wait for its answer. Those of ECS, IAM and STS come within seconds.
const answerLimit = time.Minute

// Retries says how calls are repeated that AWS throttles, or does not answer. What is empty follows the SDK's environment and
// shared files, and else the defaults of this package.
type Retries struct {
	MaxAttempts int           // in all, the first one counted; 0: DefaultAttempts
	Mode        aws.RetryMode // "": adaptive
}

// filled takes what r leaves open from the SDK's own settings, then from the defaults.
func (r Retries) filled(cfg aws.Config) Retries {
	return Retries{MaxAttempts: cmp.Or(r.MaxAttempts, cfg.RetryMaxAttempts, DefaultAttempts), Mode: cmp.Or(r.Mode, cfg.RetryMode, aws.RetryModeAdaptive)}
}

// apply gives the clients of cfg their retryers. Each client has one of its own: an adaptive one slows all calls of its service.
func (r Retries) apply(cfg *aws.Config) {
	r = r.filled(*cfg)
	cfg.RetryMode, cfg.RetryMaxAttempts = r.Mode, r.MaxAttempts
	cfg.Retryer = func() aws.Retryer { return r.Retryer() }
}

// Retryer decides which calls are repeated, and when.
func (r Retries) Retryer() aws.Retryer {
	standard := func(o *retry.StandardOptions) {
		o.MaxAttempts = r.MaxAttempts
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(busy)}, o.Retryables...)
		// The SDK's budget of retries is for servers that must not drown in them. It would be spent by forty resources that
		// wait their turn; here the attempts and the resource's timeout are the bound.
		o.RateLimiter = ratelimit.None
	}
	var chosen aws.RetryerV2
	if r.Mode == aws.RetryModeStandard {
		chosen = retry.NewStandard(standard)
	} else {
		chosen = retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) { o.StandardOptions = append(o.StandardOptions, standard) })
	}
	// IAM and EventBridge: another change of the same is under way.
	return retry.AddWithErrorCodes(impatient{chosen}, "ConcurrentModification", "ConcurrentModificationException")
}

// busy tells the SDK to repeat what ECS refuses for a moment by a code that stands for other things, too.
func busy(err error) aws.Ternary {
	if IsFamilyBusy(err) {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// impatient gives up earlier where no connection is made.
type impatient struct{ aws.RetryerV2 }

func (r impatient) RetryDelay(attempt int, err error) (time.Duration, error) {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" && attempt >= unreachableAttempts {
		return 0, err
	}
	return r.RetryerV2.RetryDelay(attempt, err)
}

// hinted is an error that says what to do.
type hinted struct{ error }

func (h hinted) Unwrap() error { return h.error }

// addHint says beside an error what to do about it, where that is the same for every call.
func addHint(stack *smithymiddleware.Stack) error {
	hint := func(ctx context.Context, in smithymiddleware.InitializeInput, next smithymiddleware.InitializeHandler) (smithymiddleware.InitializeOutput, smithymiddleware.Metadata, error) {
		out, metadata, err := next.HandleInitialize(ctx, in)
		if IsExpired(err) && !errors.As(err, new(hinted)) { // the call that gets credentials has said it already
			err = hinted{fmt.Errorf("%w\nhint: the AWS credentials have expired: renew them, by a new login for instance, and run this again", err)}
		}
		return out, metadata, err
	}
	return stack.Initialize.Add(smithymiddleware.InitializeMiddlewareFunc("consulecs.Hint", hint), smithymiddleware.Before)
}
