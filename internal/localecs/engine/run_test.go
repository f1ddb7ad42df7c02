package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTaskGoesThroughItsLife(t *testing.T) {
	s := stageOf(t)
	task := s.task(actor("app", "exit=0"))
	began := time.Now()
	arn := s.play(t, task)
	last := s.heard.awaitWord(t, arn, StatusStopped)
	if diff := cmp.Diff(lifeline, s.heard.words(arn)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if last.StoppedReason != essentialExit || last.StopCode != "EssentialContainerExited" || exitCode(last.container("app")) != "0" {
		t.Errorf("stopped with %s %q, exit code %s", last.StopCode, last.StoppedReason, exitCode(last.container("app")))
	}
	started := *s.timelineOf(t, arn, "app").Started
	t.Logf("Run to first container started: %s", started.Sub(began).Round(time.Millisecond))
}

func TestTaskHasAnAddressOnTheWorldsNetwork(t *testing.T) {
	s := stageOf(t)
	arn := s.play(t, s.task(actor("app", "hold")))
	now := s.heard.awaitWord(t, arn, StatusRunning)
	if len(now.Attachments) != 1 || len(now.Containers[0].NetworkInterfaces) != 1 {
		t.Fatalf("attachments %v, interfaces %v", now.Attachments, now.Containers[0].NetworkInterfaces)
	}
	address := *now.Containers[0].NetworkInterfaces[0].PrivateIpv4Address
	prefix, _, _ := strings.Cut(s.Subnet().String(), ".0/")
	if !strings.HasPrefix(address, prefix+".") {
		t.Errorf("address %s is not in %s", address, s.Subnet())
	}
}
