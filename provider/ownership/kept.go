package ownership

import (
	"encoding/json"
	"fmt"
)

// Claim is who wants something that may be there already.
type Claim struct {
	Owner Owner
	Adopt bool // take over what others made
}

// Refuse says why something that exists, and bears the tags, cannot be the resource's; nil if it can. known says that its state has it.
func (c Claim) Refuse(what string, tags map[string]string, known bool) error {
	if known || c.Adopt || c.Owner.Is(tags[TagECSID]) {
		return nil
	}
	return Taken(Clash{What: what, Tags: tags})
}

// Encode writes what a resource keeps of things, in the words of what, for its state.
func Encode[V any](what string, v V) (*string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", what, err)
	}
	text := string(b)
	return &text, nil
}

// Decode reads what Encode wrote; nothing from no text.
func Decode[V any](what string, text *string) (v V, err error) {
	if text == nil {
		return v, nil
	}
	if err := json.Unmarshal([]byte(*text), &v); err != nil {
		return v, fmt.Errorf("read %s from the state: %w", what, err)
	}
	return v, nil
}
