package xds

import (
	"fmt"

	"google.golang.org/grpc/mem"
)

// frame is one message in wire format, passed on as it came.
type frame struct{ data mem.BufferSlice }

// rawCodec hands messages through without decoding them. Each frame holds one reference to its buffers: Unmarshal takes
// it, and gRPC gives it back once it has sent what Marshal returned.
type rawCodec struct{}

// Marshal hands out the frame's own buffers.
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	f, ok := v.(*frame)
	if !ok {
		return nil, fmt.Errorf("message of type %T, want a frame", v)
	}
	return f.data, nil
}

// Unmarshal keeps the buffers beyond the call.
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return fmt.Errorf("message of type %T, want a frame", v)
	}
	data.Ref()
	f.data = data
	return nil
}

// Name is the wire format's: the content type must stay that of protobuf.
func (rawCodec) Name() string { return "proto" }
