package controller

import (
	"maps"
	"slices"
	"testing"
	"time"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
)

const (
	idA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	idB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	idC = "cccccccccccccccccccccccccccccccc"

	arnPrefix = "arn:aws:ecs:us-east-1:123456789012:task/mesh/"
)

func task(id, desired, last string, tags ...ecstypes.Tag) ecstypes.Task {
	arn := arnPrefix + id
	return ecstypes.Task{TaskArn: &arn, DesiredStatus: &desired, LastStatus: &last, Tags: tags}
}

func failure(id, reason string) ecstypes.Failure {
	arn := arnPrefix + id
	return ecstypes.Failure{Arn: &arn, Reason: &reason}
}

func TestOnlyAStoppedOrUnknownTaskMayBeDead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		tasks    []ecstypes.Task
		failures []ecstypes.Failure
		want     verdict
	}{
		"running":                        {tasks: []ecstypes.Task{task(idA, "RUNNING", "RUNNING")}, want: alive},
		"running without the mesh's tag": {tasks: []ecstypes.Task{task(idA, "RUNNING", "RUNNING", ecstypes.Tag{})}, want: alive},
		"starting":                       {tasks: []ecstypes.Task{task(idA, "RUNNING", "PROVISIONING")}, want: alive},
		"draining":                       {tasks: []ecstypes.Task{task(idA, "STOPPED", "RUNNING")}, want: alive},
		"stopping":                       {tasks: []ecstypes.Task{task(idA, "STOPPED", "STOPPING")}, want: alive},
		"deprovisioning":                 {tasks: []ecstypes.Task{task(idA, "STOPPED", "DEPROVISIONING")}, want: alive},
		"stopped":                        {tasks: []ecstypes.Task{task(idA, "STOPPED", "STOPPED")}, want: stopped},
		"missing":                        {failures: []ecstypes.Failure{failure(idA, "MISSING")}, want: missing},
		"both described and missing":     {tasks: []ecstypes.Task{task(idA, "RUNNING", "RUNNING")}, failures: []ecstypes.Failure{failure(idA, "MISSING")}, want: alive},
		"another failure":                {failures: []ecstypes.Failure{failure(idA, "ACCESS_DENIED")}, want: unknown},
		"a failure without a reason":     {failures: []ecstypes.Failure{{}}, want: unknown},
		"no answer":                      {want: unknown},
		"another task's answer":          {tasks: []ecstypes.Task{task(idB, "STOPPED", "STOPPED")}, want: unknown},
		"a task without a status":        {tasks: []ecstypes.Task{{}}, want: unknown},
	} {
		if got := judge(tc.tasks, tc.failures)[idA]; got != tc.want {
			t.Errorf("%s: verdict %d, want %d", name, got, tc.want)
		}
	}
}

func TestForeignServicesAreLeftAlone(t *testing.T) {
	t.Parallel()
	web := consul.NodeService{ID: "web-" + idA, Name: "web", TaskID: idA}
	proxy := consul.NodeService{ID: "web-" + idA + "-sidecar-proxy", Name: "web-sidecar-proxy", TaskID: idA}
	token := consul.LoginToken{AccessorID: "1", TaskID: idA}
	old := consul.NodeService{ID: "old", Name: "old", TaskID: "0c5e3f4e-1a2b-4c3d-8e9f-001122334455"}
	held := holdings(
		[]consul.NodeService{{ID: "by-hand", Name: "by-hand"}, {ID: "odd", Name: "odd", TaskID: "not a task's ID"}, web, proxy, old},
		[]consul.LoginToken{token, {AccessorID: "2", TaskID: "x"}},
	)
	want := map[string]*holding{
		idA:        {taskID: idA, services: []consul.NodeService{web, proxy}, tokens: []consul.LoginToken{token}},
		old.TaskID: {taskID: old.TaskID, services: []consul.NodeService{old}},
	}
	if diff := cmp.Diff(want, held, cmp.AllowUnexported(holding{})); diff != "" {
		t.Errorf("holdings (-want +got):\n%s", diff)
	}
}

func TestAnAbsenceCountsOnceItHasLastedAMinute(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	held := map[string]*holding{idA: {taskID: idA}}
	for name, tc := range map[string]struct {
		looks map[time.Duration]verdict // since start
		want  bool                      // the last look finds the task long absent
	}{
		"one look":                   {map[time.Duration]verdict{time.Hour: missing}, false},
		"for 59 seconds":             {map[time.Duration]verdict{0: missing, 59 * time.Second: missing}, false},
		"for a minute":               {map[time.Duration]verdict{0: missing, 30 * time.Second: missing, time.Minute: missing}, true},
		"seen in between":            {map[time.Duration]verdict{0: missing, 30 * time.Second: alive, time.Minute: missing}, false},
		"no answer in between":       {map[time.Duration]verdict{0: missing, 30 * time.Second: unknown, time.Minute: missing}, true},
		"no answer at the end":       {map[time.Duration]verdict{0: missing, time.Minute: unknown}, false},
		"alive, then once not known": {map[time.Duration]verdict{0: alive, time.Hour: missing}, false},
	} {
		since := map[string]time.Time{}
		var found []*holding
		for _, after := range slices.Sorted(maps.Keys(tc.looks)) {
			verdicts := map[string]verdict{idA: tc.looks[after]}
			absences(since, held, verdicts, start.Add(after))
			found = longAbsent(with(held, verdicts, missing), since, start.Add(after))
		}
		if got := len(found) == 1; got != tc.want {
			t.Errorf("%s: long absent is %v, want %v", name, got, tc.want)
		}
	}
}

func TestAbsencesOfTasksThatLeftConsulAreForgotten(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	since := map[string]time.Time{idA: now, idB: now}
	absences(since, map[string]*holding{idB: {taskID: idB}}, nil, now)
	if diff := cmp.Diff(map[string]time.Time{idB: now}, since); diff != "" {
		t.Errorf("absences (-want +got):\n%s", diff)
	}
}

func TestVerdictsPickHoldingsInOrder(t *testing.T) {
	t.Parallel()
	held := map[string]*holding{idC: {taskID: idC}, idA: {taskID: idA}, idB: {taskID: idB}}
	verdicts := map[string]verdict{idA: stopped, idC: stopped, "dddddddddddddddddddddddddddddddd": stopped}
	if diff := cmp.Diff([]*holding{held[idA], held[idC]}, with(held, verdicts, stopped), cmp.AllowUnexported(holding{})); diff != "" {
		t.Errorf("stopped (-want +got):\n%s", diff)
	}
}

func TestTheBrakeHoldsBackBigRemovals(t *testing.T) {
	t.Parallel()
	for known, want := range map[int]int{1: 50, 200: 50, 1000: 250, 10000: 2500} {
		if got := brake(known); got != want {
			t.Errorf("brake(%d) = %d, want %d", known, got, want)
		}
	}
}
