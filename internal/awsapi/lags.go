package awsapi

import (
	"strings"
)

// What one part of AWS knows, another part learns with a delay. ECS has no error codes of its own for that, so that here, as
// in AWS's own tools, its sentences decide.

// IsRoleMissing reports whether IAM does not know the role that a call is about, as it may for a while after CreateRole. A
// policy that does not exist has the same code.
func IsRoleMissing(err error) bool {
	return hasCode(err, "NoSuchEntity", "NoSuchEntityException") && !says(err, "is not attachable") && !startsWith(err, "policy ")
}

// IsRoleRefused reports whether ECS refuses a role. It does so for a while after the role, its trust policy or the
// service-linked role was made.
func IsRoleRefused(err error) bool {
	if !hasCode(err, "InvalidParameterException", "ClientException") || !says(err, "role") {
		return false
	}
	return says(err, "role is not valid") || says(err, "unable to assume") || says(err, "cannot be assumed") || says(err, "role being passed")
}

// IsFamilyBusy reports whether another registration of the same family is under way.
func IsFamilyBusy(err error) bool {
	return hasCode(err, "ClientException") && says(err, "too many concurrent attempts to create a new revision")
}

// IsTargetGroupUnattached reports whether a load balancer does not use the target group yet: its listener is still being made.
func IsTargetGroupUnattached(err error) bool {
	return hasCode(err, "InvalidParameterException") && says(err, "does not have an associated load balancer")
}

// IsRoleInUse reports whether IAM does not delete the role because of policies that it may be about to forget.
func IsRoleInUse(err error) bool {
	return hasCode(err, "DeleteConflict", "DeleteConflictException") && says(err, "polic")
}

// IsTaken reports whether the name of a new role, queue, secret or ECS service is in use, perhaps by the very call whose answer was
// lost.
func IsTaken(err error) bool {
	return hasCode(err, "EntityAlreadyExists", "EntityAlreadyExistsException", "QueueAlreadyExists", "QueueNameExists", "ResourceExistsException") ||
		hasCode(err, "InvalidParameterException") && says(err, "not idempotent")
}

// IsQueueDeletedRecently reports whether a queue of the name was deleted so short a time ago that SQS makes no other one yet.
func IsQueueDeletedRecently(err error) bool {
	return hasCode(err, "AWS.SimpleQueueService.QueueDeletedRecently", "QueueDeletedRecently")
}

// IsSecretBeingDeleted reports whether a secret of the name is on its way out: Secrets Manager does so in the background.
func IsSecretBeingDeleted(err error) bool {
	return hasCode(err, "InvalidRequestException") && (says(err, "scheduled for deletion") || says(err, "marked for deletion") || says(err, "marked deleted"))
}

// IsDeadLetterQueueMissing reports whether SQS does not know the queue yet that another one is to name for its dead letters.
func IsDeadLetterQueueMissing(err error) bool {
	return hasCode(err, "InvalidParameterValue", "InvalidAttributeValue") && says(err, "dead letter target does not exist")
}

// IsRuleInUse reports whether EventBridge does not delete a rule because of targets that it may be about to forget.
func IsRuleInUse(err error) bool {
	return hasCode(err, "ValidationException") && says(err, "has targets")
}

// IsExpired reports whether the caller's credentials were good once: only the user can renew them.
func IsExpired(err error) bool { return hasCode(err, "ExpiredToken", "ExpiredTokenException") }

func says(err error, words string) bool { return strings.Contains(message(err), words) }

func startsWith(err error, words string) bool { return strings.HasPrefix(message(err), words) }
