// Package taskverdict reads what ECS says of tasks.
package taskverdict

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/consulecs/terraform-provider-consulecs/internal/reap"
)

// MaxDescribed is how many tasks DescribeTasks takes at a time.
const MaxDescribed = 100

// Of are the verdicts, by task ID, of an answer of DescribeTasks.
func Of(out *ecs.DescribeTasksOutput) map[string]reap.Verdict {
	verdicts := map[string]reap.Verdict{}
	for _, f := range out.Failures {
		verdicts[ID(aws.ToString(f.Arn))] = reap.VerdictOfFailure(aws.ToString(f.Reason))
	}
	for _, t := range out.Tasks {
		verdicts[ID(aws.ToString(t.TaskArn))] = reap.VerdictOf(aws.ToString(t.LastStatus))
	}
	return verdicts
}

// ID is the last part of a task's ARN.
func ID(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// ParseID is the ID of a task, of which an ID or an ARN is given.
func ParseID(given string) (string, error) {
	id := given
	if parsed, err := arn.Parse(given); err == nil && parsed.Service == "ecs" && strings.HasPrefix(parsed.Resource, "task/") {
		id = ID(given)
	}
	if !reap.IsTaskID(id) {
		return "", fmt.Errorf("%q is neither the ID of an ECS task, 32 hexadecimal digits, nor its ARN: arn:<partition>:ecs:<region>:<account>:task/<cluster>/<id>", given)
	}
	return id, nil
}
