package wire

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Fields of descriptor.proto, whose types come with the library of protobuf.
const (
	fileName    Number = 1
	fileDepends Number = 3
	fileMessage Number = 4
	fileOptions Number = 8
	messageName Number = 1
	optionsPkg  Number = 11
)

// file is a message with texts, lists, messages in messages, a number and a field of a high number.
func file() *descriptorpb.FileDescriptorProto {
	return &descriptorpb.FileDescriptorProto{
		Name: proto.String("a.proto"), Dependency: []string{"b.proto", "c.proto"},
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("First")}, {Name: proto.String("Second")}},
		Options:     &descriptorpb.FileOptions{GoPackage: proto.String("a"), Deprecated: proto.Bool(true), CcEnableArenas: proto.Bool(false)},
	}
}

func encoded(t *testing.T, m proto.Message) []byte {
	t.Helper()
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWhatNobodyChangesStaysByteForByte(t *testing.T) {
	data := encoded(t, file())
	m, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	untouched := func(*Message) (bool, error) { return true, nil }
	if err := errors.Join(m.EditEach(fileMessage, untouched), m.Edit(fileOptions, func(*Message) error { return nil })); err != nil {
		t.Fatal(err)
	}
	if got := m.Bytes(); !bytes.Equal(got, data) {
		t.Errorf("%x\nwant\n%x", got, data)
	}
}

func TestFieldsAreChangedInTheirPlace(t *testing.T) {
	m, err := Parse(encoded(t, file()))
	if err != nil {
		t.Fatal(err)
	}
	m.SetText(fileName, "z.proto").AddText(fileDepends, "d.proto")
	err = errors.Join(
		m.Edit(fileOptions, func(o *Message) error { o.SetText(optionsPkg, "z"); return nil }),
		m.EditEach(fileMessage, func(d *Message) (bool, error) { return d.Text(messageName) != "First", nil }),
	)
	if err != nil {
		t.Fatal(err)
	}
	want := file()
	want.Name, want.Dependency = proto.String("z.proto"), append(want.Dependency, "d.proto")
	want.Options.GoPackage, want.MessageType = proto.String("z"), want.MessageType[1:]
	got := &descriptorpb.FileDescriptorProto{}
	if err := proto.Unmarshal(m.Bytes(), got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"b.proto", "c.proto", "d.proto"}, m.Texts(fileDepends)); diff != "" {
		t.Errorf("texts (-want +got):\n%s", diff)
	}
}

func TestAMessageThatCameInPartsIsOne(t *testing.T) {
	parts := encoded(t, &descriptorpb.FileDescriptorProto{Options: &descriptorpb.FileOptions{GoPackage: proto.String("a")}})
	parts = append(parts, encoded(t, &descriptorpb.FileDescriptorProto{Name: proto.String("a.proto"), Options: &descriptorpb.FileOptions{Deprecated: proto.Bool(true)}})...)
	m, err := Parse(parts)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Edit(fileOptions, func(o *Message) error { o.SetText(optionsPkg, "z"); return nil }); err != nil {
		t.Fatal(err)
	}
	got := &descriptorpb.FileDescriptorProto{}
	if err := proto.Unmarshal(m.Bytes(), got); err != nil {
		t.Fatal(err)
	}
	want := &descriptorpb.FileDescriptorProto{Name: proto.String("a.proto"), Options: &descriptorpb.FileOptions{GoPackage: proto.String("z"), Deprecated: proto.Bool(true)}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnEmptyMessageIsThereAndAnAbsentOneIsNot(t *testing.T) {
	m, err := Parse(encoded(t, &descriptorpb.FileDescriptorProto{Options: &descriptorpb.FileOptions{}}))
	if err != nil {
		t.Fatal(err)
	}
	if !m.Has(fileOptions) || m.Has(fileMessage) {
		t.Errorf("options %v, messages %v", m.Has(fileOptions), m.Has(fileMessage))
	}
	if err := m.Edit(fileMessage, func(*Message) error { return nil }); err != nil || m.Has(fileMessage) {
		t.Errorf("a field that was looked at is there now (%v)", err)
	}
}

func TestWellKnownTypesAreWrittenAsProtobufDoes(t *testing.T) {
	inner := new(Message).SetText(fileName, "a.proto")
	a := Any("type.googleapis.com/google.protobuf.FileDescriptorProto", inner)
	if err := a.EditAny("type.googleapis.com/another", func(*Message) error { return errors.New("edited") }); err != nil {
		t.Error(err)
	}
	if err := a.EditAny("type.googleapis.com/google.protobuf.FileDescriptorProto", func(m *Message) error { m.SetText(fileName, "z.proto"); return nil }); err != nil {
		t.Error(err)
	}
	got := &anypb.Any{}
	if err := proto.Unmarshal(a.Bytes(), got); err != nil {
		t.Fatal(err)
	}
	f := &descriptorpb.FileDescriptorProto{}
	if err := got.UnmarshalTo(f); err != nil || f.GetName() != "z.proto" {
		t.Errorf("%v, %v", f, err)
	}
	number := &wrapperspb.UInt32Value{}
	wrapped, err := new(Message).SetWrapped(1, 300).Message(1)
	if err == nil {
		err = proto.Unmarshal(wrapped.Bytes(), number)
	}
	if err != nil || number.Value != 300 {
		t.Errorf("%v, %v", number, err)
	}
	for _, want := range []time.Duration{0, 25 * time.Millisecond, 90*time.Second + time.Nanosecond} {
		m := new(Message).SetDuration(1, want)
		child, err := m.Message(1)
		if err != nil {
			t.Fatal(err)
		}
		d := &durationpb.Duration{}
		if err := proto.Unmarshal(child.Bytes(), d); err != nil || d.AsDuration() != want {
			t.Errorf("%s is written as %s (%v)", want, d.AsDuration(), err)
		}
		if got, err := m.Duration(1); err != nil || got != want {
			t.Errorf("%s is read as %s (%v)", want, got, err)
		}
	}
}

func FuzzNoBytesAreTooStrange(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x0a, 0x05, 'a'})
	f.Add([]byte{0x0b, 0x0c}) // a group
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%v", err)
			}
			return
		}
		again, err := Parse(m.Bytes())
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if diff := cmp.Diff(m, again, cmp.AllowUnexported(Message{}, field{})); diff != "" {
			t.Errorf("(-first +second):\n%s", diff)
		}
		for _, f := range m.fields {
			_, _ = m.Message(f.number)
			_, _ = m.Messages(f.number)
			_, _ = m.Uint(f.number), m.Text(f.number)
			_ = m.Edit(f.number, func(c *Message) error { c.SetUint(1, 1); return nil })
		}
	})
}
