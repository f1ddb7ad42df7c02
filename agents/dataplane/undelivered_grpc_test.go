package dataplane_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

const (
	unary = "/test.Echo/Unary"
	both  = "/test.Echo/Both"
)

// answering answers each message of a call with the same, having noted it.
func answering(seen *sightings, name string) *grpc.Server {
	return grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, call grpc.ServerStream) error {
		for {
			message := &wrapperspb.StringValue{}
			if err := call.RecvMsg(message); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			seen.saw(message.Value)
			if method, _ := grpc.MethodFromServerStream(call); method == both {
				message.Value = name
			}
			if err := call.SendMsg(message); err != nil {
				return err
			}
		}
	}))
}

// invoke makes a call of one message.
func invoke(ctx context.Context, conn *grpc.ClientConn, message string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	answer := &wrapperspb.StringValue{}
	if err := conn.Invoke(ctx, unary, wrapperspb.String(message), answer); err != nil {
		return err
	}
	if answer.Value != message {
		return fmt.Errorf("answered %q", answer.Value)
	}
	return nil
}

// stream opens a call of many messages.
func stream(t *testing.T, conn *grpc.ClientConn) (grpc.ClientStream, error) {
	t.Helper()
	return conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, both)
}

// exchange sends one message of such a call, and returns which instance has answered.
func exchange(call grpc.ClientStream, message string) (instance string, err error) {
	if err := call.SendMsg(wrapperspb.String(message)); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	answer := &wrapperspb.StringValue{}
	err = call.RecvMsg(answer)
	return answer.Value, err
}

// TestCallsOfGRPCThatNobodyGotAreTriedElsewhere has an instance drain, which is a GOAWAY to its callers, an application gone behind
// its proxy, and an Envoy killed. Calls of one message are sent all the while, and streams are opened and held.
func TestCallsOfGRPCThatNobodyGotAreTriedElsewhere(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	seen := &sightings{of: map[string]int{}}
	apis := startInstances(t, c, 4, seen, func(k *instance) {
		speaks(t, c, k.service, "grpc")
		k.answer = answering(seen, k.instance)
	})
	k := startCallers(t, c, apis[0].service)[0]
	conn, err := grpc.NewClient(k.upstream.String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	eventually.Nil(t, k.service+" reaches api", eventually.Soon, func() error { return invoke(t.Context(), conn, "first") })
	held := map[string]grpc.ClientStream{} // by the instance that has it
	eventually.True(t, "there is a stream to each instance", eventually.Soon, func() bool {
		s, err := stream(t, conn)
		if err != nil {
			return false
		}
		if instance, err := exchange(s, fmt.Sprint("held", len(held))); err == nil {
			held[instance] = s
		}
		return len(held) == len(apis)
	})
	var lost, sent atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() {
		for tick := time.NewTicker(10 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			name := fmt.Sprint("unary", sent.Add(1))
			all.Go(func() {
				if err := invoke(t.Context(), conn, name); err != nil {
					t.Logf("%s: %v", name, err)
					lost.Add(1)
				}
			})
		}
	})
	for _, fault := range []struct {
		name string
		may  int32 // be lost: what was under way
		make func()
	}{
		{"an instance drains", 0, func() {
			apis[0].metadata.stopApp()
			apis[0].signal(t, syscall.SIGTERM)
		}},
		{"an application goes away", 3, apis[1].leave},
		{"an Envoy is killed", 3, func() { apis[2].killEnvoy(t) }},
	} {
		lost.Store(0)
		from := sent.Load()
		time.Sleep(300 * time.Millisecond)
		fault.make()
		time.Sleep(1500 * time.Millisecond)
		for i := range 20 {
			s, err := stream(t, conn)
			if err == nil {
				_, err = exchange(s, fmt.Sprint(fault.name, i))
			}
			if err == nil {
				err = s.CloseSend()
			}
			if err != nil {
				t.Errorf("%s: a stream that was opened later: %v", fault.name, err)
			}
		}
		t.Logf("%s: %d of %d lost", fault.name, lost.Load(), sent.Load()-from)
		if lost.Load() > fault.may {
			t.Errorf("%s: %d of %d calls are lost", fault.name, lost.Load(), sent.Load()-from)
		}
	}
	cancel()
	all.Wait()
	for i, k := range apis {
		answered, err := exchange(held[k.instance], fmt.Sprint("on", i))
		if i == len(apis)-1 && (err != nil || answered != k.instance) {
			t.Errorf("the stream to %s, which lives: %s, %v", k.instance, answered, err)
		}
		if err == nil && answered != k.instance {
			t.Errorf("the stream to %s goes on at %s: what it had sent was sent again", k.instance, answered)
		}
	}
	for _, prefix := range []string{"held", "unary", "an ", "on"} {
		if n := seen.twice(prefix); n > 0 {
			t.Errorf("%d messages %s... were seen twice", n, prefix)
		}
	}
}
