package xds_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/link"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/ads"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/xds"
)

// The keeper of a connection asks a next server something before it relies on it. Were the lost one asked for meanwhile, its
// refusal would be taken for that of the next one.
func TestAStreamThatLostItsServerIsLedToTheNext(t *testing.T) {
	t.Parallel()
	first, second := ads.Start(t), ads.Start(t)
	second.Answer(xds.TypeCluster)
	at := func(s *ads.Server) resolver.State {
		return resolver.State{Addresses: []resolver.Address{{Addr: s.Addr.String()}}}
	}
	keeper := manual.NewBuilderWithScheme("keeper")
	keeper.InitialState(at(first))
	conn, err := grpc.NewClient("keeper:///", grpc.WithResolvers(keeper), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Connect() // as its keeper has, before anybody calls
	tokens := &tokens{}
	proxy, err := xds.Start(netip.MustParseAddrPort("127.0.0.1:0"), link.Link{
		Conn: conn, Token: tokens.get, Replaced: tokens.replaced, Renew: tokens.renew, Settle: time.Minute,
	}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	w := world{proxy: proxy, client: dial(t, proxy.Addr())}
	lost := w.open(t, method)
	eventually.True(t, "the stream arrives", eventually.Soon, func() bool { return len(first.Tokens()) > 0 })
	first.Stop()
	if _, err := receive(lost); err == nil {
		t.Fatal("the stream outlived its server")
	}
	asked := make(chan struct{}, 1)
	old, err := net.Listen("tcp", first.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	go func() {
		if conn, err := old.Accept(); err == nil {
			conn.Close()
			asked <- struct{}{}
		}
	}()
	next := w.open(t, method)
	send(t, next, xds.TypeCluster, "", "")
	select {
	case <-asked:
		t.Error("the old server was asked for again")
	case <-time.After(300 * time.Millisecond): // for a stream that does not wait this is plenty
	}
	keeper.UpdateState(at(second))
	conn.Connect()
	if _, err := receive(next); err != nil {
		t.Errorf("the next server's answer: %v", err)
	}
}
