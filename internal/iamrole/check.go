package iamrole

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// Pair is what a user may choose of the two roles of a task. A nil role is not made: there is one already.
type Pair struct {
	Family     string
	Task       *Settings
	Execution  *Settings
	KMSKeyARNs []string // of the execution role
}

var (
	validPolicyARN = regexp.MustCompile(`^arn:aws[a-z-]*:iam::(aws|\d{12}):policy/\S+$`)
	validKeyARN    = regexp.MustCompile(`^arn:aws[a-z-]*:kms:[a-z0-9*-]+:(\d{12}|\*):key/\S+$`)
)

// Check lists what IAM would refuse or take for something else, at iam.taskRole, iam.executionRole and tags.
func (p Pair) Check() problem.List {
	var found problem.List
	task, execution := problem.At("iam", "taskRole"), problem.At("iam", "executionRole")
	given := []problem.Path{task.Child("arn"), execution.Child("arn")} // a role that is given has neither name nor tags of ours
	if p.Task != nil {
		checkPolicies(p.Task.PolicyARNs, task.Child("policyArns"), &found)
		checkInline(p.Task.InlinePolicies, task.Child("inlinePolicies"), &found)
		checkTags(p.Task.Tags, given, &found)
	}
	if p.Execution != nil {
		checkPolicies(p.Execution.PolicyARNs, execution.Child("policyArns"), &found)
		checkInline(p.Execution.InlinePolicies, execution.Child("inlinePolicies"), &found)
		for _, arn := range p.KMSKeyARNs {
			if !validKeyARN.MatchString(arn) {
				found.Add(execution.Child("kmsKeyArns"), "has %q, want ARNs of KMS keys: arn:<partition>:kms:<region>:<account>:key/<id> (a policy cannot name a key by its alias)", arn)
			}
		}
		if p.Task == nil {
			checkTags(p.Execution.Tags, given, &found)
		}
	}
	if p.Task != nil && p.Execution != nil {
		p.checkNames(task.Child("name"), execution.Child("name"), given, &found)
	}
	return found
}

// checkNames wants two names. IAM takes no account of case, nor of the paths of roles.
func (p Pair) checkNames(task, execution problem.Path, given []problem.Path, found *problem.List) {
	names := [2]string{p.Task.name(p.Family, suffixTask), p.Execution.name(p.Family, suffixExecution)}
	if !strings.EqualFold(names[0], names[1]) {
		return
	}
	at, other := execution, task // blame the one that is chosen
	if p.Execution.Name == "" {
		at, other = task, execution
	}
	found.AddWith(append(given, other, problem.At("family")), at, "is %q, the name of the other role, too: want a role for each, so choose another name or leave %s out", names[0], at)
}

func checkPolicies(arns []string, path problem.Path, found *problem.List) {
	for _, arn := range arns {
		if !validPolicyARN.MatchString(arn) {
			found.Add(path, "has %q, want ARNs of IAM policies: arn:<partition>:iam::<account>:policy/<name>", arn)
		}
	}
}

// checkTags wants keys that differ by more than their case, which IAM takes no account of.
func checkTags(tags map[string]string, given []problem.Path, found *problem.List) {
	first := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		path, folded := problem.At("tags", problem.Key(key)), strings.ToLower(key)
		reserved := func(prefix string) bool { return strings.HasPrefix(folded, prefix) && !strings.HasPrefix(key, prefix) }
		if other, twice := first[folded]; twice {
			at := problem.At("tags", problem.Key(other))
			found.AddWith(append(slices.Clone(given), at), path, "differs from %s by its case alone, and IAM takes both keys for one: leave one of them out", at)
		} else if slices.ContainsFunc(mesh.TagPrefixes(), reserved) {
			found.AddWith(given, path, "is a key of the mesh for IAM, which takes no account of case: choose another")
		}
		first[folded] = key
	}
}
