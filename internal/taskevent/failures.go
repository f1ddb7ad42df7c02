package taskevent

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
)

// permissions are what IAM calls the actions, where that is another name.
var permissions = map[string]string{"DeleteMessageBatch": "sqs:DeleteMessage"}

// explain names the queue, and says what to do where that is known. awsapi tells what kind of error it is.
func (q *Queue) explain(action string, err error) error {
	hint := ""
	var api smithy.APIError
	switch {
	case awsapi.IsExpired(err):
		// the client says it: every call of AWS has that in common
	case awsapi.IsNotFound(err):
		hint = fmt.Sprintf("\nhint: there is no such queue in %s: make it again, by terraform apply for instance, or have the controller do without one", q.region)
	case errors.As(err, &api) && strings.HasPrefix(strings.ToUpper(api.ErrorCode()), "KMS"):
		hint = "\nhint: the queue is encrypted with a key of yours: the task role and the key's policy have to allow kms:Decrypt"
	case errors.As(err, &api) && strings.HasSuffix(api.ErrorCode(), "OverLimit"):
		hint = "\nhint: 120,000 messages were received and not deleted: is somebody else reading this queue?"
	case awsapi.IsAccessDenied(err):
		permission, other := permissions[action]
		if !other {
			permission = "sqs:" + action
		}
		hint = fmt.Sprintf("\nhint: the task role lacks %s on %s, or the queue's policy denies it", permission, q.name())
	}
	return fmt.Errorf("event queue %s: %w%s", q.cfg.URL, err, hint)
}

// name is the queue's ARN, made of its URL. It is in the partition of the ECS clusters, whose events cross no border.
func (q *Queue) name() string {
	u, err := url.Parse(q.cfg.URL)
	if err != nil { // New has read it
		return q.cfg.URL
	}
	account, name, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	partition := "aws"
	if len(q.cfg.ECSClusters) > 0 {
		partition = strings.Split(q.cfg.ECSClusters[0]+"::", ":")[1]
	}
	return fmt.Sprintf("arn:%s:sqs:%s:%s:%s", partition, q.region, account, name)
}
