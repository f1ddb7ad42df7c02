// Package wire edits protobuf messages by the numbers of their fields, without their types.
//
// The dataplane agent passes Envoy's configuration on from Consul, and changes a few fields of a few kinds. Envoy's Go types would
// double the agent's size and its memory at rest, and would have to know every field that a newer Consul sends. Here, whatever
// nobody asked about stays as it came, byte for byte.
package wire

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed says that bytes are no protobuf message.
var ErrMalformed = errors.New("malformed protobuf message")

// Number is the number of a field in its message.
type Number = protowire.Number

// Message is a protobuf message as a list of fields, in the order in which they came.
type Message struct {
	fields []field
}

// field is one occurrence of a field. Value has the content of a length-delimited field, else the encoded value without its tag.
type field struct {
	number Number
	kind   protowire.Type
	value  []byte
}

// Parse reads a message's own fields; those that are messages themselves are read when they are asked for. The message
// refers to data, which has to stay as it is.
func Parse(data []byte) (*Message, error) {
	m := &Message{}
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return nil, ErrMalformed
		}
		data = data[n:]
		if n = protowire.ConsumeFieldValue(number, kind, data); n < 0 {
			return nil, ErrMalformed
		}
		value := data[:n]
		if kind == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(value)
		}
		m.fields = append(m.fields, field{number, kind, value})
		data = data[n:]
	}
	return m, nil
}

// Bytes is the message, encoded.
func (m *Message) Bytes() []byte {
	size := 0
	for _, f := range m.fields {
		size += len(f.value) + 2*protowire.SizeVarint(1<<31)
	}
	data := make([]byte, 0, size)
	for _, f := range m.fields {
		data = protowire.AppendTag(data, f.number, f.kind)
		if f.kind == protowire.BytesType {
			data = protowire.AppendBytes(data, f.value)
		} else {
			data = append(data, f.value...)
		}
	}
	return data
}

// Has tells whether the field is there, be it empty.
func (m *Message) Has(number Number) bool {
	return slices.ContainsFunc(m.fields, func(f field) bool { return f.number == number })
}

// Text is the text of a field, empty where there is none.
func (m *Message) Text(number Number) string {
	return string(m.content(number))
}

// Texts are the texts of a repeated field.
func (m *Message) Texts(number Number) []string {
	var texts []string
	for _, content := range m.Contents(number) {
		texts = append(texts, string(content))
	}
	return texts
}

// Contents are what a repeated field of texts or messages holds, as it came.
func (m *Message) Contents(number Number) [][]byte {
	var contents [][]byte
	for _, f := range m.fields {
		if f.number == number && f.kind == protowire.BytesType {
			contents = append(contents, f.value)
		}
	}
	return contents
}

// content is what a length-delimited field holds, the last one where there are several.
func (m *Message) content(number Number) []byte {
	for _, f := range slices.Backward(m.fields) {
		if f.number == number && f.kind == protowire.BytesType {
			return f.value
		}
	}
	return nil
}

// Uint is the number in a varint field, zero where there is none.
func (m *Message) Uint(number Number) uint64 {
	for _, f := range slices.Backward(m.fields) {
		if f.number == number && f.kind == protowire.VarintType {
			v, _ := protowire.ConsumeVarint(f.value)
			return v
		}
	}
	return 0
}

// Message is the message in a field, an empty one where there is none. Changes to it change nothing of m: see Edit.
func (m *Message) Message(number Number) (*Message, error) {
	child, err := Parse(slices.Concat(m.Contents(number)...)) // several of a field that is no list are one, merged: so protobuf has it
	if err != nil {
		return nil, fmt.Errorf("field %d: %w", number, err)
	}
	return child, nil
}

// Messages are the messages in a repeated field.
func (m *Message) Messages(number Number) ([]*Message, error) {
	var list []*Message
	for _, content := range m.Contents(number) {
		child, err := Parse(content)
		if err != nil {
			return nil, fmt.Errorf("field %d: %w", number, err)
		}
		list = append(list, child)
	}
	return list, nil
}

// Remove takes all of a field away.
func (m *Message) Remove(number Number) {
	m.fields = slices.DeleteFunc(m.fields, func(f field) bool { return f.number == number })
}

// AddText adds one to a repeated field of texts.
func (m *Message) AddText(number Number, text string) *Message {
	return m.add(number, []byte(text))
}

// AddContent adds one to a repeated field of texts or messages, as Contents had it.
func (m *Message) AddContent(number Number, content []byte) *Message {
	return m.add(number, content)
}

// Clone is a copy of the message. What its fields hold is shared: nobody changes that.
func (m *Message) Clone() *Message {
	return &Message{slices.Clone(m.fields)}
}

// Add adds one to a repeated field of messages.
func (m *Message) Add(number Number, child *Message) *Message {
	return m.add(number, child.Bytes())
}

// SetText sets a field to a text.
func (m *Message) SetText(number Number, text string) *Message {
	m.Remove(number)
	return m.AddText(number, text)
}

// Set sets a field to a message.
func (m *Message) Set(number Number, child *Message) *Message {
	m.Remove(number)
	return m.Add(number, child)
}

// SetUint sets a varint field, also to zero.
func (m *Message) SetUint(number Number, value uint64) *Message {
	m.Remove(number)
	m.fields = append(m.fields, field{number, protowire.VarintType, protowire.AppendVarint(nil, value)})
	return m
}

func (m *Message) add(number Number, content []byte) *Message {
	m.fields = append(m.fields, field{number, protowire.BytesType, content})
	return m
}

// Edit has a function change the message in a field, in its place. The function gets an empty one where there is none, and
// the field stays absent if it stays empty.
func (m *Message) Edit(number Number, edit func(*Message) error) error {
	at := slices.IndexFunc(m.fields, func(f field) bool { return f.number == number })
	child, err := m.Message(number)
	if err != nil {
		return err
	}
	if err := edit(child); err != nil {
		return err
	}
	if at < 0 {
		if len(child.fields) > 0 {
			m.Add(number, child)
		}
		return nil
	}
	m.fields[at] = field{number, protowire.BytesType, child.Bytes()}
	rest := slices.DeleteFunc(m.fields[at+1:], func(f field) bool { return f.number == number })
	m.fields = m.fields[:at+1+len(rest)]
	return nil
}

// EditEach has a function change each message of a repeated field, in its place. Those for which it says not to keep them are
// taken away.
func (m *Message) EditEach(number Number, edit func(*Message) (keep bool, err error)) error {
	kept := make([]field, 0, len(m.fields))
	for _, f := range m.fields {
		if f.number == number && f.kind == protowire.BytesType {
			child, err := Parse(f.value)
			if err != nil {
				return fmt.Errorf("field %d: %w", number, err)
			}
			keep, err := edit(child)
			if err != nil {
				return err
			}
			if !keep {
				continue
			}
			f.value = child.Bytes()
		}
		kept = append(kept, f)
	}
	m.fields = kept
	return nil
}
