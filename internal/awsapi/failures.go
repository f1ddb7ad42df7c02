package awsapi

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// IsNotFound reports whether AWS says that the object does not exist.
func IsNotFound(err error) bool {
	return hasCode(err,
		"ClusterNotFoundException", "ServiceNotFoundException", "ServiceNotActiveException", "TaskSetNotFoundException", // ECS
		"NoSuchEntity", "NoSuchEntityException", // IAM
		"ResourceNotFoundException",                                    // Secrets Manager, tags of ECS, EventBridge
		"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", // SQS
	)
}

// IsAccessDenied reports whether AWS refused the caller, not the request: retrying does not help.
func IsAccessDenied(err error) bool {
	if hasCode(err, "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnrecognizedClientException",
		"InvalidClientTokenId", "SignatureDoesNotMatch") {
		return true
	}
	var response *smithyhttp.ResponseError
	return errors.As(err, &response) && response.HTTPStatusCode() == http.StatusForbidden && !IsThrottled(err)
}

// IsRefused reports whether AWS answered that it did not do what was asked. Where no answer came, or one of a server in trouble,
// nobody knows.
func IsRefused(err error) bool {
	var response *smithyhttp.ResponseError
	return errors.As(err, &response) && response.HTTPStatusCode()/100 == 4
}

// IsUnsupported reports whether the endpoint does not know the call: an emulator, a proxy or a region that lacks it.
func IsUnsupported(err error) bool {
	if hasCode(err, "UnknownOperationException", "UnknownOperation", "InvalidAction", "UnsupportedOperation", "UnsupportedOperationException", "NotImplemented") {
		return true
	}
	var response *smithyhttp.ResponseError
	return errors.As(err, &response) && response.HTTPStatusCode() == http.StatusNotImplemented
}

// IsClientException reports whether ECS refused what was asked for a reason that it has no code for. It is how ECS says that a
// task definition does not exist.
func IsClientException(err error) bool { return hasCode(err, "ClientException") }

// IsThrottled reports whether AWS turned the call away because there were too many.
func IsThrottled(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	_, throttled := retry.DefaultThrottleErrorCodes[api.ErrorCode()]
	return throttled
}

// message is what AWS says, in small letters; "" for other errors.
func message(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	return strings.ToLower(api.ErrorMessage())
}

func hasCode(err error, codes ...string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && slices.Contains(codes, api.ErrorCode())
}
