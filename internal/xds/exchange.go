package xds

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
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

	making        sync.Mutex  // held from when something is made for Envoy until it is sent: what is newer comes later
	envoy, consul sync.Mutex  // held while a message is sent there: we have some of our own to say
	spoken        atomic.Bool // Envoy has said something of the type that is revised
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
			e.heardOfRevised(r, data)
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
	if r.nonce == "" {
		return news{}
	}
	n := e.pacer.answered(r, time.Now())
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
	r, err := parseResponse(f.data.Materialize())
	if err != nil {
		return e.tellEnvoy(f) // whatever it is, it is not ours to judge
	}
	e.making.Lock()
	defer e.making.Unlock()
	v := e.proxy.revises()
	defer v.hold(r.typeURL)()
	e.proxy.keep(r)
	came := slices.Clone(r.resources)
	r, changed := e.proxy.reshape(r)
	v.keep(r, came)
	left, pass := e.pacer.pass(r)
	switch {
	case !pass:
		f.data.Free()
		if err := e.tellConsul(&frame{mem.BufferSlice{mem.SliceBuffer(acceptance(r))}}); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return nil
	case changed || len(left.resources) < len(r.resources):
		f.data.Free()
		f = &frame{mem.BufferSlice{mem.SliceBuffer(left.marshal())}}
	}
	return e.tellEnvoy(f)
}

// offerAgain offers Envoy what it has refused, each when its time has come, until ctx ends.
func (e *exchange) offerAgain(ctx context.Context) {
	for {
		offers, wait := e.pacer.due(time.Now())
		for _, offer := range offers {
			if e.offer(offer) != nil {
				return // the stream is over
			}
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

func (e *exchange) offer(offer response) error {
	e.making.Lock()
	defer e.making.Unlock()
	return e.tellEnvoy(&frame{mem.BufferSlice{mem.SliceBuffer(e.proxy.remade(offer).marshal())}})
}

func (e *exchange) tellEnvoy(f *frame) error {
	e.envoy.Lock()
	defer e.envoy.Unlock()
	return e.fromEnvoy.SendMsg(f)
}

func (e *exchange) tellConsul(f *frame) error {
	e.consul.Lock()
	defer e.consul.Unlock()
	return e.toConsul.SendMsg(f)
}
