package awsapi_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
)

func TestLagsAreToldApart(t *testing.T) {
	t.Parallel()
	predicates := map[string]func(error) bool{
		"role missing": awsapi.IsRoleMissing, "role refused": awsapi.IsRoleRefused, "family busy": awsapi.IsFamilyBusy,
		"target group unattached": awsapi.IsTargetGroupUnattached, "role in use": awsapi.IsRoleInUse, "taken": awsapi.IsTaken,
		"expired": awsapi.IsExpired, "secret being deleted": awsapi.IsSecretBeingDeleted,
	}
	client := func(text string) error { return &ecstypes.ClientException{Message: aws.String(text)} }
	invalid := func(text string) error { return &ecstypes.InvalidParameterException{Message: aws.String(text)} }
	noEntity := func(text string) error { return &iamtypes.NoSuchEntityException{Message: aws.String(text)} }
	for _, c := range []struct {
		err  error
		want string // "": none of them
	}{
		{noEntity("The role with name web-task cannot be found."), "role missing"},
		{noEntity("Policy arn:aws:iam::123456789012:policy/role does not exist or is not attachable."), ""},
		{noEntity("Policy arn:aws:iam::123456789012:policy/role was not found"), ""},
		{client("Role is not valid"), "role refused"},
		{client("ECS was unable to assume the role 'arn:aws:iam::123456789012:role/web' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role."), "role refused"},
		{invalid("Unable to assume the service linked role. Please verify that the ECS service linked role exists."), "role refused"},
		{invalid("Unable to assume role and validate the specified targetGroupArn. Please verify that the ECS service role being passed has the proper permissions."), "role refused"},
		{invalid("Unable to assume role and validate the listeners configured on your load balancer.  Please verify that the ECS service role being passed has the proper permissions."), "role refused"},
		{client("Too many concurrent attempts to create a new revision of the specified family."), "family busy"},
		{invalid("The target group with targetGroupArn arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef does not have an associated load balancer."), "target group unattached"},
		{&iamtypes.DeleteConflictException{Message: aws.String("Cannot delete entity, must detach all policies first.")}, "role in use"},
		{&iamtypes.DeleteConflictException{Message: aws.String("Cannot delete entity, must delete policies first.")}, "role in use"},
		{&iamtypes.DeleteConflictException{Message: aws.String("Cannot delete entity, must remove roles from instance profile first.")}, ""},
		{&iamtypes.EntityAlreadyExistsException{Message: aws.String("Role with name web-task already exists.")}, "taken"},
		{invalid("Creation of service was not idempotent."), "taken"},
		{&smithy.GenericAPIError{Code: "ResourceExistsException", Message: "The operation failed because the secret web/ca already exists."}, "taken"},
		{&smithy.GenericAPIError{Code: "InvalidRequestException", Message: "You can't create this secret because a secret with this name is already scheduled for deletion."}, "secret being deleted"},
		{&smithy.GenericAPIError{Code: "InvalidRequestException", Message: "You can't perform this operation on the secret because it was marked for deletion."}, "secret being deleted"},
		{&smithy.GenericAPIError{Code: "InvalidRequestException", Message: "You can't use ClientRequestToken x because that value is already in use"}, ""},
		{&smithy.GenericAPIError{Code: "ExpiredToken", Message: "The security token included in the request is expired"}, "expired"},
		{&smithy.GenericAPIError{Code: "ExpiredTokenException"}, "expired"},
		{&smithy.GenericAPIError{Code: "AccessDeniedException", Message: "not authorized to assume role"}, ""},
		{invalid("The role of the subnet is not known"), ""},
		{client("Too many tags"), ""},
		{&ecstypes.ServerException{Message: aws.String("unable to assume the role")}, ""},
		{errors.New("dial tcp 127.0.0.1:1: connect: connection refused"), ""},
		{nil, ""},
	} {
		err := c.err
		if err != nil {
			err = fmt.Errorf("call: %w", err)
		}
		for kind, is := range predicates {
			if is(err) != (kind == c.want) {
				t.Errorf("%v counts as %s: %v", c.err, kind, is(err))
			}
		}
	}
}
