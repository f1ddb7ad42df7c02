package wire

import "time"

// Fields of google.protobuf.Any.
const (
	anyType  Number = 1
	anyValue Number = 2
)

// EditAny has a function change the message inside an Any, if it is of the type; m is the Any.
func (m *Message) EditAny(typeURL string, edit func(*Message) error) error {
	if m.Text(anyType) != typeURL {
		return nil
	}
	return m.Edit(anyValue, edit)
}

// Any is a message as an Any.
func Any(typeURL string, m *Message) *Message {
	return new(Message).SetText(anyType, typeURL).Set(anyValue, m)
}

// The value of the messages that wrap a number or a truth is field 1; a duration has seconds in 1 and nanoseconds in 2.

// SetWrapped sets a field to a UInt32Value or a UInt64Value.
func (m *Message) SetWrapped(number Number, value uint64) *Message {
	return m.Set(number, new(Message).SetUint(1, value))
}

// SetDuration sets a field to a Duration, which is not negative.
func (m *Message) SetDuration(number Number, d time.Duration) *Message {
	return m.Set(number, new(Message).SetUint(1, uint64(d/time.Second)).SetUint(2, uint64(d%time.Second)))
}

// Duration is the Duration in a field, zero where there is none.
func (m *Message) Duration(number Number) (time.Duration, error) {
	child, err := m.Message(number)
	if err != nil {
		return 0, err
	}
	return time.Duration(child.Uint(1))*time.Second + time.Duration(child.Uint(2)), nil
}
