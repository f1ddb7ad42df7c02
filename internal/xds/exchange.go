package xds

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
)

// exchange is one stream of Envoy's and the one to Consul that belongs to it.
type exchange struct {
	proxy     *Proxy
	pacer     *pacer
	fromEnvoy grpc.ServerStream
	toConsul  grpc.ClientStream

	consul sync.Mutex      // held while a message is sent there: we have some of our own to say
	stale  map[string]bool // types of which Envoy has spoken: whether an owner's may have another shape now; under the proxy's mu
}

// requests passes Envoy's messages on until Envoy half-closes, and reads what they tell.
func (e *exchange) requests() error {
	for {
		var f frame
		if err := e.fromEnvoy.RecvMsg(&f); errors.Is(err, io.EOF) {
			e.consul.Lock()
			defer e.consul.Unlock()
			return e.toConsul.CloseSend()
		} else if err != nil {
			return err
		}
		data := f.data.Materialize()
		if r, err := parseRequest(data); err == nil {
			n := e.heard(r)
			switch {
			case n.ours:
				f.data.Free()
				if data = withoutAnswer(data); data == nil {
					continue
				}
				f = frame{mem.BufferSlice{mem.SliceBuffer(data)}}
			case r.refused && len(n.own) > 0:
				f.data.Free()
				f = frame{mem.BufferSlice{mem.SliceBuffer(withoutRefusal(data))}}
			}
		}
		if err := e.tellConsul(&f); errors.Is(err, io.EOF) {
			return nil // the stream is over; its status comes by responses
		} else if err != nil {
			return err
		}
	}
}

// heard takes in what Envoy says, and returns what is new in it.
func (e *exchange) heard(r request) news {
	e.heardOfOwned(r)
	if r.nonce == "" {
		return news{}
	}
	n := e.pacer.answered(r, time.Now())
	if len(n.own) > 0 && !r.refused {
		e.taken(r, n.own)
	}
	e.proxy.saw(r, n)
	return n
}

// responses passes Consul's messages on and returns the status that ends them, nil for OK.
func (e *exchange) responses() error {
	for first := true; ; first = false {
		var f frame
		if err := e.toConsul.RecvMsg(&f); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if first {
			e.proxy.note(func(s *Status) { s.TokenLost = false }) // a static token may come back
			header, err := e.toConsul.Header()
			if err != nil {
				return err
			}
			if err := e.fromEnvoy.SetHeader(header); err != nil {
				return err
			}
		}
		if err := e.handOn(&f); err != nil {
			return err
		}
	}
}

// handOn passes a response of Consul's on, shaped, and without what Envoy has refused just so.
func (e *exchange) handOn(f *frame) error {
	e.proxy.making.Lock()
	defer e.proxy.making.Unlock()
	r, err := parseResponse(f.data.Materialize())
	if err != nil {
		return e.fromEnvoy.SendMsg(f) // whatever it is, it is not ours to judge
	}
	left, same, pass := e.take(r)
	if same {
		return e.fromEnvoy.SendMsg(f)
	}
	f.data.Free()
	if pass {
		return e.tellEnvoy(left)
	}
	if err := e.tellConsul(&frame{mem.BufferSlice{mem.SliceBuffer(acceptance(r))}}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// take takes in a response of Consul's. It returns what is left of it for Envoy, whether that is all as it came, and whether it is anything.
func (e *exchange) take(r response) (left response, same, pass bool) {
	e.keep(r)
	shaped, changed := e.proxy.reshape(r)
	left, pass = e.pacer.pass(shaped)
	e.sends(left)
	return left, pass && !changed && len(left.resources) == len(r.resources), pass
}

// offers has Envoy get what Consul does not send: what an owner's resources are now, at once, and what Envoy has refused, each when
// its time has come. It does so until ctx ends.
func (e *exchange) offers(ctx context.Context) {
	for {
		wait, err := e.offer(time.Now())
		if err != nil {
			return // the stream is over
		}
		var timer <-chan time.Time // never
		if wait >= 0 {
			timer = time.After(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-e.pacer.wake:
		case <-timer:
		}
	}
}

// offer sends what is due now, and returns how long it is until more is; negative for never.
func (e *exchange) offer(now time.Time) (wait time.Duration, err error) {
	e.proxy.making.Lock()
	defer e.proxy.making.Unlock()
	due, wait := e.pacer.due(now)
	for i, one := range due {
		due[i] = e.remade(one)
	}
	for _, typeURL := range e.outdated() {
		if r := e.reshaped(typeURL); len(r.resources)+len(r.removed) > 0 {
			due = append(due, r)
		}
	}
	for _, one := range due {
		if err := e.tellEnvoy(one); err != nil {
			return 0, err
		}
	}
	return wait, nil
}

// tellEnvoy is called with the proxy's making held, as all that sends Envoy something.
func (e *exchange) tellEnvoy(r response) error {
	return e.fromEnvoy.SendMsg(&frame{mem.BufferSlice{mem.SliceBuffer(r.marshal())}})
}

func (e *exchange) tellConsul(f *frame) error {
	e.consul.Lock()
	defer e.consul.Unlock()
	return e.toConsul.SendMsg(f)
}
