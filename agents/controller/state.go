package controller

import (
	"sync"
	"time"
)

// standing is how a controller stands, for those who ask while it works.
type standing struct {
	ready     bool      // connected, and Consul prepared
	leading   bool      // and so alone to remove anything
	open      bool      // Consul's ACL system is off: there are no tokens
	prepareAt time.Time // when to prepare Consul again
	looking   bool      // a full look is under way
	waiting   int       // tasks that ECS does not know, but not for long enough, and those that the brake holds back
	queued    int64     // messages in the queue of events, as SQS estimates it
	heard     time.Time // when the queue of events last answered
}

// state is a standing that several goroutines share.
type state struct {
	mu sync.Mutex
	standing
}

func (s *state) get() standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.standing
}

func (s *state) set(change func(*standing)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.standing)
}
