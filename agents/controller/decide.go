package controller

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
)

const (
	// minAbsence is how long ECS must not have known a task, in look after look, before that counts: a task that was just
	// started may not be visible everywhere in ECS, and one that has stopped is described as such for an hour.
	minAbsence = time.Minute

	// The brake: a pass removes so many tasks at the most, whichever is more.
	brakeTasks   = 50
	brakePercent = 25
)

// verdict is what ECS says of a task that Consul knows. The zero value is the safe one.
type verdict int

const (
	unknown verdict = iota // no answer: leave the task alone
	alive                  // ECS knows the task and it has not stopped
	stopped                // ECS says outright that the task has stopped
	missing                // ECS does not know the task
)

// holding is what Consul holds for a task.
type holding struct {
	taskID   string
	services []consul.NodeService
	tokens   []consul.LoginToken
}

// taskID is the shape of the IDs that ECS gives: 32 hexadecimal digits, once 36 characters with dashes. ECS refuses a whole
// call for one ID that is not.
var taskID = regexp.MustCompile(`^[0-9a-f]{32}$|^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// holdings sorts services and tokens by their tasks. What is no task's of ECS is not the controller's: a service that an
// operator hung on the node, for one.
func holdings(services []consul.NodeService, tokens []consul.LoginToken) map[string]*holding {
	held := map[string]*holding{}
	of := func(id string) *holding {
		if held[id] == nil {
			held[id] = &holding{taskID: id}
		}
		return held[id]
	}
	for _, s := range services {
		if taskID.MatchString(s.TaskID) {
			of(s.TaskID).services = append(of(s.TaskID).services, s)
		}
	}
	for _, t := range tokens {
		if taskID.MatchString(t.TaskID) {
			of(t.TaskID).tokens = append(of(t.TaskID).tokens, t)
		}
	}
	return held
}

// judge reads one answer of DescribeTasks. A task is told by its last status alone: one that ECS means to stop is alive
// until it has, and tags say nothing about life.
func judge(tasks []ecstypes.Task, failures []ecstypes.Failure) map[string]verdict {
	verdicts := map[string]verdict{}
	for _, f := range failures {
		if deref(f.Reason) == "MISSING" {
			verdicts[idOf(deref(f.Arn))] = missing
		}
	}
	for _, t := range tasks {
		switch deref(t.LastStatus) {
		case "":
		case "STOPPED":
			verdicts[idOf(deref(t.TaskArn))] = stopped
		default:
			verdicts[idOf(deref(t.TaskArn))] = alive
		}
	}
	return verdicts
}

// with picks the holdings of tasks with the verdict, in the order of their IDs.
func with(held map[string]*holding, verdicts map[string]verdict, want verdict) []*holding {
	var picked []*holding
	for id, h := range held {
		if verdicts[id] == want {
			picked = append(picked, h)
		}
	}
	slices.SortFunc(picked, func(a, b *holding) int { return cmp.Compare(a.taskID, b.taskID) })
	return picked
}

// absences notes since when ECS has not known a task that Consul knows. An answer that shows the task ends its absence, no
// answer does not.
func absences(since map[string]time.Time, held map[string]*holding, verdicts map[string]verdict, now time.Time) {
	for id := range since {
		if v := verdicts[id]; held[id] == nil || v == alive || v == stopped {
			delete(since, id)
		}
	}
	for id := range held {
		if _, noted := since[id]; !noted && verdicts[id] == missing {
			since[id] = now
		}
	}
}

// longAbsent keeps those whose absence has lasted.
func longAbsent(lost []*holding, since map[string]time.Time, now time.Time) []*holding {
	return slices.DeleteFunc(slices.Clone(lost), func(h *holding) bool { return now.Sub(since[h.taskID]) < minAbsence })
}

// brake is how many tasks a pass may remove of those that Consul knows.
func brake(known int) int { return max(brakeTasks, known*brakePercent/100) }

func idOf(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
