package lock

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

// Why a lease's context has ended, for context.Cause.
var (
	ErrLost      = errors.New("the lock is lost")              // Consul says that the session does not hold the key
	ErrUntrusted = errors.New("the lock cannot be relied on")  // Consul has not confirmed it in time
	ErrReleased  = errors.New("the lock is being handed over") // by Release
)

// Lease is the right to lead for as long as its context lasts.
type Lease struct {
	settings Settings
	client   *api.Client
	session  string
	term     uint64
	ctx      context.Context
	end      context.CancelCauseFunc
	kept     chan struct{} // closed when no beat is sent any more
	record   record        // as last sent; keep's alone, and after kept Release's

	mu    sync.Mutex
	until time.Time // the lease is trusted
	timer *time.Timer
}

func newLease(ctx context.Context, client *api.Client, s Settings, session string, term uint64, r record, sent time.Time) *Lease {
	l := &Lease{settings: s, client: client, session: session, term: term, record: r, kept: make(chan struct{}), until: sent.Add(trustFor)}
	life, end := context.WithCancelCause(ctx)
	l.ctx, l.end = leaseContext{context.WithValue(life, leaseKey{}, l), l}, end
	l.timer = time.AfterFunc(time.Until(l.until), func() { l.trusted() })
	go l.keep()
	return l
}

// Context ends the moment the lock can no longer be relied on, and with the context of the campaign. Its Err looks at the clock:
// a process that was asleep cannot take a lease for valid that ended meanwhile. See Check for contexts that come from it.
func (l *Lease) Context() context.Context { return l.ctx }

// Term grows from leader to leader.
func (l *Lease) Term() uint64 { return l.term }

// Release ends the lease's context and hands the lock over at once; without it, others have to wait. Call it however the lease
// has ended, when nothing is under way any more. A lock that was lost before is no error.
func (l *Lease) Release(ctx context.Context) error {
	l.end(ErrReleased)
	<-l.kept
	l.record.HandedOver = true
	_, err := transact(ctx, l.client, api.TxnOps{
		l.holds(),
		l.settings.operation(api.KVTxnOp{Verb: api.KVUnlock, Value: l.record.text(), Session: l.session}),
	})
	destroy(ctx, l.client, l.session)
	if err != nil && !errors.Is(err, errRefused) {
		return fmt.Errorf("release key %s: %w", l.settings.Key, err)
	}
	return nil
}

// holds is the condition that the session has the key.
func (l *Lease) holds() *api.TxnOp {
	return l.settings.operation(api.KVTxnOp{Verb: api.KVCheckSession, Session: l.session})
}

// trusted reports whether the lease can be relied on now. If not, its context ends.
func (l *Lease) trusted() bool {
	l.mu.Lock()
	over := !time.Now().Before(l.until)
	l.mu.Unlock()
	if over {
		l.end(ErrUntrusted)
	}
	return !over
}

// trust lengthens a lease that has not ended by what was sent at that time and was confirmed.
func (l *Lease) trust(sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.until) {
		l.until = sent.Add(trustFor)
		l.timer.Reset(time.Until(l.until))
	}
}

// keep beats until the lease ends.
func (l *Lease) keep() {
	defer close(l.kept)
	defer l.timer.Stop()
	for wait := beatEvery; sleep.For(l.ctx, wait); {
		sent := time.Now()
		err := l.beat()
		switch {
		case err == nil:
			l.trust(sent)
			wait = beatEvery - time.Since(sent)
		case errors.Is(err, errRefused):
			l.end(fmt.Errorf("%w: %w", ErrLost, err))
		default:
			wait = beatRetry
			if l.ctx.Err() == nil {
				l.settings.Log.Warn("lock not confirmed, will retry", append([]any{"key", l.settings.Key}, agentlog.Fields(err)...)...)
			}
		}
	}
	if cause := context.Cause(l.ctx); errors.Is(cause, ErrLost) || errors.Is(cause, ErrUntrusted) {
		farewell(l.ctx, l.abdicate)
	}
}

// beat writes a new value, if the session holds the key, and has had it ever since: once lost, it is not taken again. The renewal
// of the session is no write to Consul's log.
func (l *Lease) beat() error {
	l.record.Beat++
	_, err := transact(l.ctx, l.client, api.TxnOps{
		l.holds(),
		l.settings.operation(api.KVTxnOp{Verb: api.KVLock, Value: l.record.text(), Session: l.session}),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(l.ctx, callTimeout)
	defer cancel()
	if _, _, err := l.client.Session().Renew(l.session, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		l.settings.Log.Debug("session not renewed, will retry", agentlog.Fields(err)...)
	}
	return nil
}

// abdicate tells the others that the lease has ended, where they would wait for a beat: the key still has this lease's value, or
// none.
func (l *Lease) abdicate(ctx context.Context) {
	defer destroy(ctx, l.client, l.session)
	pair, _, err := l.client.KV().Get(l.settings.Key, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return
	}
	if pair == nil {
		pair = &api.KVPair{Key: l.settings.Key, Value: l.record.text()}
	}
	r, _ := parse(pair.Value)
	if r.Holder != l.record.Holder || !r.Since.Equal(l.record.Since) || pair.Session != "" && pair.Session != l.session {
		return
	}
	r.HandedOver = true
	pair.Value = r.text()
	_, _, _ = l.client.KV().CAS(pair, (&api.WriteOptions{}).WithContext(ctx)) // else others wait until their patience ends
}

// leaseKey is under which a context knows its lease.
type leaseKey struct{}

// leaseContext looks at the clock where it is asked whether it has ended.
type leaseContext struct {
	context.Context
	lease *Lease
}

func (c leaseContext) Err() error {
	if err := c.Context.Err(); err != nil {
		return err
	}
	c.lease.trusted()
	return c.Context.Err()
}

// Check is an error if ctx comes from the context of a lease that cannot be relied on at this moment. Whoever is about to do what
// only the leader may asks it last.
func Check(ctx context.Context) error {
	if l, ok := ctx.Value(leaseKey{}).(*Lease); ok && l != nil && !l.trusted() {
		return ErrUntrusted
	}
	return nil
}

// Fence is the condition under which Consul itself takes a transaction from the holder of ctx's lease alone. ok is false where
// ctx comes from no lease.
func Fence(ctx context.Context) (condition *api.TxnOp, ok bool) {
	l, ok := ctx.Value(leaseKey{}).(*Lease)
	if !ok || l == nil {
		return nil, false
	}
	return l.holds(), true
}

// Lost ends the lease that ctx comes from: Consul has refused what its holder alone may do. It returns the error that says so.
func Lost(ctx context.Context, why string) error {
	err := fmt.Errorf("%w: %s", ErrLost, why)
	if l, ok := ctx.Value(leaseKey{}).(*Lease); ok && l != nil {
		l.end(err)
	}
	return err
}
