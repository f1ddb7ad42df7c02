// Package taskverdict reads what ECS says of tasks.
package taskverdict

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
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
