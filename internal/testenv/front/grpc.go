package front

import (
	"context"
	"errors"
	"io"

	"github.com/hashicorp/consul/proto-public/pbacl"
	"github.com/hashicorp/consul/proto-public/pbdataplane"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Methods in whose calls a scope can stand.
const (
	Login  = "/hashicorp.consul.acl.ACLService/Login"
	Params = "/hashicorp.consul.dataplane.DataplaneService/GetEnvoyBootstrapParams"
	Query  = "/hashicorp.consul.dns.DNSService/Query"
	XDS    = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
)

// handle hands a call of any method on, message by message.
func (c *Consul) handle(_ any, caller grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(caller)
	if method != XDS {
		return c.pass(caller.Context(), method, caller)
	}
	ctx, cancel := context.WithCancelCause(caller.Context())
	defer cancel(nil)
	go func() {
		select {
		case <-c.exhausted:
			cancel(errExhausted)
		case <-ctx.Done():
		}
	}()
	if err := c.pass(ctx, method, caller); context.Cause(ctx) != errExhausted {
		return err
	}
	return errExhausted
}

var errExhausted = status.Error(codes.ResourceExhausted, "this server has too many xDS streams open, please try another")

// pass hands a call on until it or ctx ends.
func (c *Consul) pass(ctx context.Context, method string, caller grpc.ServerStream) error {
	md, _ := metadata.FromIncomingContext(ctx)
	md = md.Copy()
	if method == Query {
		c.note(method, "metadata", mesh.Scope{Partition: first(md.Get("x-consul-partition")), Namespace: first(md.Get("x-consul-namespace"))})
		md.Delete("x-consul-partition")
		md.Delete("x-consul-namespace")
	}
	server, err := c.servers.NewStream(metadata.NewOutgoingContext(ctx, md), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		return err
	}
	asked := make(chan mesh.Scope, 1) // of the first message
	go func() {
		for number := 0; ; number++ {
			message := &emptypb.Empty{} // its unknown fields are the message
			if err := caller.RecvMsg(message); err != nil {
				_ = server.CloseSend() // the server then ends the call
				return
			}
			scope := c.stripMessage(method, message)
			if number == 0 {
				asked <- scope
			}
			if server.SendMsg(message) != nil {
				return // so does what is received
			}
		}
	}()
	for {
		message := &emptypb.Empty{}
		if err := server.RecvMsg(message); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if method == Params {
			answerScope(message, <-asked)
		}
		if err := caller.SendMsg(message); err != nil {
			return err
		}
	}
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// stripMessage notes the scope in a request and takes it out.
func (c *Consul) stripMessage(method string, message *emptypb.Empty) (scope mesh.Scope) {
	raw := message.ProtoReflect().GetUnknown()
	switch method {
	case Login:
		var req pbacl.LoginRequest
		_ = proto.Unmarshal(raw, &req) // the server says what is wrong with it
		scope = mesh.Scope{Partition: req.Partition, Namespace: req.Namespace}
		req.Partition, req.Namespace = "", ""
		replace(message, &req)
	case Params:
		var req pbdataplane.GetEnvoyBootstrapParamsRequest
		_ = proto.Unmarshal(raw, &req)
		scope = mesh.Scope{Partition: req.Partition, Namespace: req.Namespace}
		req.Partition, req.Namespace = "", ""
		replace(message, &req)
	case XDS:
		node := field(raw, 1)
		if node == nil {
			return scope
		}
		var meta structpb.Struct
		_ = proto.Unmarshal(field(node, 3), &meta)
		scope = mesh.Scope{Partition: meta.Fields["partition"].GetStringValue(), Namespace: meta.Fields["namespace"].GetStringValue()}
	default:
		return scope
	}
	c.note(method, "message", scope)
	return scope
}

// answerScope makes of the community edition's answer that of the scope's service.
func answerScope(message *emptypb.Empty, scope mesh.Scope) {
	var resp pbdataplane.GetEnvoyBootstrapParamsResponse
	_ = proto.Unmarshal(message.ProtoReflect().GetUnknown(), &resp)
	resp.Partition, resp.Namespace = scope.Partition, scope.Namespace
	replace(message, &resp)
}

func replace(message *emptypb.Empty, by proto.Message) {
	raw, _ := proto.Marshal(by) // it was unmarshalled
	message.ProtoReflect().SetUnknown(raw)
}

// field is a field of a message in wire format that is a message itself; nil where there is none.
func field(message []byte, number protowire.Number) []byte {
	for len(message) > 0 {
		num, typ, n := protowire.ConsumeField(message)
		if n < 0 {
			return nil
		}
		if num == number && typ == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(message)
			value, _ := protowire.ConsumeBytes(message[tag:])
			return value
		}
		message = message[n:]
	}
	return nil
}
