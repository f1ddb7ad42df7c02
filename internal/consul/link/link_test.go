package link_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/link"
)

func TestALostTokenIsToldFromARightThatIsMissing(t *testing.T) {
	t.Parallel()
	for want, errs := range map[bool][]error{
		true:  {status.Error(codes.Unauthenticated, "unauthenticated: ACL not found"), status.Error(codes.PermissionDenied, "rpc error: ACL not found")},
		false: {nil, errors.New("EOF"), status.Error(codes.PermissionDenied, "lacks permission service:write"), status.Error(codes.Unavailable, "")},
	} {
		for _, err := range errs {
			if link.TokenLost(err) != want {
				t.Errorf("%v: want %v", err, want)
			}
		}
	}
}

func TestACallHasTheTokenAndNoOther(t *testing.T) {
	t.Parallel()
	before := metadata.NewOutgoingContext(t.Context(), metadata.Pairs("x-consul-token", "another", "user-agent", "envoy"))
	for token, want := range map[string]metadata.MD{
		"secret": metadata.Pairs("x-consul-token", "secret", "user-agent", "envoy"),
		"":       metadata.Pairs("user-agent", "envoy"),
	} {
		got, _ := metadata.FromOutgoingContext(link.Outgoing(before, token))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", token, diff)
		}
	}
	if got, _ := metadata.FromOutgoingContext(link.Outgoing(context.Background(), "")); len(got) > 0 {
		t.Errorf("without any metadata: %v", got)
	}
}
