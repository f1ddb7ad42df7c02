// Package lock has one of any number of controllers lead, by a session and a key of Consul's.
//
// Consul ends the session of a holder that has died only after twice its TTL, which is 20 s at the least. So the session is not
// what says who is alive: the leader writes a new value into the key every four seconds, in a transaction that holds only while
// its session has the key. It trusts its lease for eight seconds from the moment the last such write that was confirmed had been
// sent. Others may have the key once they have seen no new value for ten seconds of their own clock. They take it by the index of
// the value they saw, so that a write of the leader's that comes between makes them fail. Only durations are compared, and no
// clock of one machine with that of another.
//
// A key that nobody's session holds is not free for that reason: the leader may not have heard of it yet. It is free at once if
// its value says that it was handed over.
package lock

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

// The times of a lease. What is trusted ends before others' patience does, by more than clocks drift.
const (
	beatEvery = 4 * time.Second
	trustFor  = 8 * time.Second  // since the last confirmed beat was sent
	patience  = 10 * time.Second // of those that do not lead

	callTimeout = 3 * time.Second // of a call that does not wait for a change
	beatRetry   = 500 * time.Millisecond
	roundPause  = 100 * time.Millisecond // between two rounds of a campaign; from half of it to one and a half
	maxPause    = 2 * time.Second        // while Consul cannot be asked

	sessionTTL   = "10s" // the least that Consul takes
	noDelay      = time.Millisecond
	watchSlack   = 5 * time.Second // for the answer of a query that waits
	farewellTime = 2 * time.Second // for leaving a lost lock in order
)

// Settings say what is campaigned for, and by whom.
type Settings struct {
	Node string // that the session belongs to: the synthetic node of the ECS cluster
	Key  string
	// Partition is that of node and key; "" where Consul has none. Queries are the client's: it has it, too.
	Partition string
	Holder    string // ARN of the controller's task
	Address   string // of the holder, for people; "" for none

	// MakeNode puts the node back where Consul has lost it: without a node there is no session, and so no leader that would do it.
	// nil if somebody else does.
	MakeNode func(context.Context) error
	Log      hclog.Logger
}

// operation is one on the key.
func (s Settings) operation(op api.KVTxnOp) *api.TxnOp {
	op.Key, op.Partition = s.Key, s.Partition
	return &api.TxnOp{KV: &op}
}

// Campaign returns as soon as this controller leads, with its lease; it goes on whatever happens to Consul, until ctx ends. The
// lease ends with ctx, too.
func Campaign(ctx context.Context, client *api.Client, s Settings) (*Lease, error) {
	c := campaign{Settings: s, client: client}
	var last error
	for pause := roundPause; ; {
		lease, err := c.round(ctx)
		switch {
		case lease != nil:
			return lease, nil
		case ctx.Err() != nil:
			return nil, errors.Join(fmt.Errorf("campaign for %s: %w", s.Key, context.Cause(ctx)), last)
		case err != nil:
			c.index = 0 // ask at once when Consul is back
			last, pause = err, min(2*pause, maxPause)
			s.Log.Warn("campaign interrupted, will retry", append([]any{"key", s.Key}, agentlog.Fields(err)...)...)
		default:
			last, pause = nil, roundPause
		}
		sleep.For(ctx, pause/2+rand.N(pause))
	}
}

// campaign is what a contender has seen of the key.
type campaign struct {
	Settings
	client *api.Client

	begun bool
	value string    // the last that was seen, "" for none
	since time.Time // when it was new to this contender
	index uint64    // that a query waits for a change from
	fresh bool      // ask Consul's leader: what another server showed was old
}

// round looks at the key, for as long as it does not change, and tries to get it if it is free.
func (c *campaign) round(ctx context.Context) (*Lease, error) {
	pair, err := c.look(ctx)
	if err != nil {
		return nil, err
	}
	c.fresh = false
	now, free := time.Now(), false
	switch {
	case pair == nil && !c.begun:
		if free, err = c.unattended(ctx); err != nil {
			return nil, err
		}
	case pair != nil:
		r, known := parse(pair.Value)
		free = known && r.HandedOver
	}
	if !c.begun || pair != nil && string(pair.Value) != c.value {
		c.begun, c.since = true, now
	}
	if pair != nil {
		c.value = string(pair.Value)
	}
	if !free && now.Sub(c.since) < patience {
		return nil, nil
	}
	lease, err := c.take(ctx, pair)
	if err != nil && free {
		c.begun = false // look again whether it is
	}
	return lease, err
}

// look reads the key, from whichever server is asked: one that lags behind shows a value that nobody can take the key by. It waits
// for a change until this contender's patience ends.
func (c *campaign) look(ctx context.Context) (*api.KVPair, error) {
	wait := max(patience-time.Since(c.since), roundPause)
	limit := callTimeout
	if c.index != 0 {
		limit = wait + wait/16 + watchSlack
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	q := (&api.QueryOptions{AllowStale: !c.fresh, WaitIndex: c.index, WaitTime: wait}).WithContext(ctx)
	pair, meta, err := c.client.KV().Get(c.Key, q)
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", c.Key, err)
	}
	if meta.LastIndex < c.index { // Consul was restored from a backup
		c.index = 0
	} else {
		c.index = meta.LastIndex
	}
	return pair, nil
}

// unattended reports whether no contender has a session for the key. Then a key that is not there has never been, and nobody has
// to wait for a leader that may yet believe in it.
func (c *campaign) unattended(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	sessions, _, err := c.client.Session().Node(c.Node, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return false, fmt.Errorf("list sessions of node %s: %w", c.Node, err)
	}
	for _, s := range sessions {
		if s.Name == c.Key {
			return false, nil
		}
	}
	return true, nil
}

// take gets the key if it still is what was seen, nil for nothing. Without a lease and an error somebody else was faster.
func (c *campaign) take(ctx context.Context, seen *api.KVPair) (*Lease, error) {
	session, err := c.session(ctx)
	if err != nil {
		return nil, err
	}
	r := record{Holder: c.Holder, Address: c.Address, Since: time.Now().UTC()}
	ops := api.TxnOps{
		c.operation(api.KVTxnOp{Verb: api.KVCheckNotExists}),
		c.operation(api.KVTxnOp{Verb: api.KVLock, Value: r.text(), Session: session}),
	}
	if seen != nil { // its lock goes with it, whosever it was
		ops[0] = c.operation(api.KVTxnOp{Verb: api.KVDeleteCAS, Index: seen.ModifyIndex})
	}
	sent := time.Now()
	answer, err := transact(ctx, c.client, ops)
	if err != nil {
		farewell(ctx, func(ctx context.Context) { destroy(ctx, c.client, session) })
		if errors.Is(err, errRefused) {
			c.index, c.fresh = 0, true
			return nil, nil
		}
		return nil, fmt.Errorf("lock key %s: %w", c.Key, err)
	}
	if seen != nil && seen.Session != "" {
		destroy(ctx, c.client, seen.Session) // else Consul keeps it until its TTL is over
	}
	term := answer.Results[len(answer.Results)-1].KV.ModifyIndex
	return newLease(ctx, c.client, c.Settings, session, term, r, sent), nil
}

// session makes one. It has no checks: the synthetic node has none of Consul's own.
func (c *campaign) session(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	entry := &api.SessionEntry{Node: c.Node, Name: c.Key, TTL: sessionTTL, LockDelay: noDelay, Behavior: api.SessionBehaviorRelease}
	for again := c.MakeNode != nil; ; again = false {
		id, _, err := c.client.Session().CreateNoChecks(entry, (&api.WriteOptions{}).WithContext(ctx))
		switch {
		case err == nil:
			return id, nil
		case !again || !strings.Contains(err.Error(), "Missing node registration"):
			return "", fmt.Errorf("create session on node %s: %w", c.Node, err)
		}
		if err := c.MakeNode(ctx); err != nil {
			return "", fmt.Errorf("create session: put back node %s: %w", c.Node, err)
		}
	}
}
