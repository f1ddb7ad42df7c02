package engine

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/moby/moby/api/types/events"
)

func TestLackOfMemoryIsConcluded(t *testing.T) {
	t.Parallel()
	die := events.Message{Action: events.ActionDie}
	kill := func(signal string) events.Message {
		return events.Message{Action: events.ActionKill, Actor: events.Actor{Attributes: map[string]string{"signal": signal}}}
	}
	starved := ending{limited: true, code: 137, kernelKills: 1, events: []events.Message{die}}
	cases := map[string]struct {
		change func(*ending)
		want   bool
	}{
		"nobody else did it":           {func(*ending) {}, true},
		"others starved, too":          {func(e *ending) { e.kernelKills = 7 }, true},
		"told to go before that":       {func(e *ending) { e.events = []events.Message{kill("15"), die} }, true},
		"no limit":                     {func(e *ending) { e.limited = false }, false},
		"another exit code":            {func(e *ending) { e.code = 143 }, false},
		"the engine stopped it":        {func(e *ending) { e.stopAsked = true }, false},
		"Docker was told to kill it":   {func(e *ending) { e.events = []events.Message{kill("9"), die} }, false},
		"killed by the signal's name":  {func(e *ending) { e.events = []events.Message{kill("SIGKILL"), die} }, false},
		"the kernel killed nobody":     {func(e *ending) { e.kernelKills = 0 }, false},
		"Docker forgot what has been":  {func(e *ending) { e.events = nil }, false},
		"Docker remembers only a part": {func(e *ending) { e.events = []events.Message{kill("15")} }, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := starved
			c.change(&e)
			if got := e.lackedMemory(); got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
		})
	}
}

// A container that somebody kills is not taken for one that the kernel killed, though others starve beside it.
func TestKilledIsNotStarved(t *testing.T) {
	s := onStage(t)
	victim := extra("victim", "hold")
	victim.Memory = aws.Int32(64)
	hungry := extra("hungry", "eat=256")
	hungry.Memory, hungry.LinuxParameters = aws.Int32(32), noSwap()
	arn := s.play(t, s.task(actor("app", "hold"), victim, hungry))
	s.heard.await(t, arn, "hungry has starved", func(st Status) bool {
		return aws.ToString(st.container("hungry").Reason) == outOfMemoryReason
	})
	s.heard.awaitWord(t, arn, StatusRunning)
	if err := s.Kill(t.Context(), arn, "victim", ""); err != nil {
		t.Fatal(err)
	}
	now := s.heard.await(t, arn, "victim has stopped", func(st Status) bool { return exitCode(st.container("victim")) == "137" })
	if reason := aws.ToString(now.container("victim").Reason); reason != "" {
		t.Errorf("reason %q", reason)
	}
}
