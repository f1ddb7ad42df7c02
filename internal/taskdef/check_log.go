package taskdef

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// fargateLogDrivers are the log drivers that Fargate has.
var fargateLogDrivers = []ecstypes.LogDriver{ecstypes.LogDriverAwslogs, ecstypes.LogDriverSplunk, ecstypes.LogDriverAwsfirelens}

// checkLog checks where a container's output goes.
func checkLog(l *ecstypes.LogConfiguration, path problem.Path, task Task, found *problem.List) {
	if l == nil {
		return
	}
	driver := path.Child("logDriver")
	if !slices.Contains(l.LogDriver.Values(), l.LogDriver) {
		found.Add(driver, "is %q, want one of %s", l.LogDriver, joined(l.LogDriver.Values()))
		return
	}
	for _, option := range l.SecretOptions {
		checkReference(aws.ToString(option.ValueFrom), path.Child("secretOptions", problem.Key(aws.ToString(option.Name))), found)
	}
	fargate := task.runsOn(ecstypes.CompatibilityFargate)
	if fargate && !slices.Contains(fargateLogDrivers, l.LogDriver) {
		found.AddWith([]problem.Path{problem.At("task", "launchTypes")}, driver, "is %s, but FARGATE has only %s", l.LogDriver, joined(fargateLogDrivers))
	}
	if l.LogDriver != ecstypes.LogDriverAwslogs {
		return
	}
	if l.Options["awslogs-group"] == "" {
		found.Add(path.Child("options", problem.Key("awslogs-group")), "is missing, which the driver awslogs needs")
	}
	for _, option := range []string{"awslogs-region", "awslogs-stream-prefix"} {
		if fargate && l.Options[option] == "" {
			found.AddWith([]problem.Path{problem.At("task", "launchTypes")}, path.Child("options", problem.Key(option)), "is missing, which the driver awslogs needs on FARGATE")
		}
	}
}

func joined[T ~string](values []T) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}
