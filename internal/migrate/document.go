package migrate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// value is a part of a document that remembers whether anybody has asked for it.
type value struct {
	at     problem.Path
	known  bool
	object map[string]*value // nil: it is none
	list   []*value
	isList bool
	plain  any // a string, a json.Number, a bool or nil
}

// nothing is what a key that is not there holds.
func nothing(at problem.Path) *value { return &value{at: at, known: true} }

func read(text string, at problem.Path) (*value, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var document any
	if err := decoder.Decode(&document); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more behind its end: one document for each element")
	}
	return planted(document, at), nil
}

func planted(document any, at problem.Path) *value {
	v := &value{at: at}
	switch document := document.(type) {
	case map[string]any:
		v.object = map[string]*value{}
		for key, child := range document {
			v.object[key] = planted(child, at.Child(key))
		}
	case []any:
		v.isList = true
		for i, child := range document {
			v.list = append(v.list, planted(child, at.Child(i)))
		}
	default:
		v.plain = document
	}
	return v
}

func (v *value) kind() string {
	switch {
	case v.object != nil:
		return "an object"
	case v.isList:
		return "a list"
	case v.plain == nil:
		return "null"
	}
	return fmt.Sprintf("%v", v.plain)
}

// saysNothing reports whether the value is as good as not there.
func (v *value) saysNothing() bool {
	return v.object == nil && !v.isList && (v.plain == nil || v.plain == "") || v.object != nil && len(v.object) == 0 || v.isList && len(v.list) == 0
}

// has reports whether a key holds something.
func (v *value) has(key string) bool { return v.object[key] != nil && !v.object[key].saysNothing() }

// know notes that the value and all that is in it has been dealt with.
func (v *value) know() {
	v.known = true
	for _, child := range v.object {
		child.know()
	}
	for _, child := range v.list {
		child.know()
	}
}

// drop deals with keys that say nothing about a migration, such as times and versions.
func (v *value) drop(keys ...string) {
	for _, key := range keys {
		if v.object[key] != nil {
			v.object[key].know()
		}
	}
}

// in is the object at a key.
func (v *value) in(d *draft, key string) *value {
	child := v.object[key]
	if child == nil || child.plain == nil && child.object == nil && !child.isList {
		v.drop(key)
		return nothing(v.at.Child(key))
	}
	child.known = true
	if child.object == nil {
		d.wrong.Add(child.at, "is %s, want an object", child.kind())
		return nothing(child.at)
	}
	return child
}

// each are the elements of the list at a key.
func (v *value) each(d *draft, key string) []*value {
	child := v.object[key]
	switch {
	case child == nil:
		return nil
	case !child.isList && child.plain != nil || child.object != nil:
		d.wrong.Add(child.at, "is %s, want a list", child.kind())
	}
	child.known = true
	for _, element := range child.list {
		element.known = true
	}
	return child.list
}

// text is the string at a key, "" where there is none.
func (v *value) text(d *draft, key string) string {
	child := v.object[key]
	if child == nil {
		return ""
	}
	child.known = true
	text, ok := child.plain.(string)
	if !ok && (child.plain != nil || child.object != nil || child.isList) {
		d.wrong.Add(child.at, "is %s, want a text", child.kind())
	}
	return text
}

// number is the whole number at a key. ECS writes the size of a task as a text.
func (v *value) number(d *draft, key string) (n int64, ok bool) {
	child := v.object[key]
	if child == nil || child.plain == nil && child.object == nil && !child.isList {
		v.drop(key)
		return 0, false
	}
	child.known = true
	number, isNumber := child.plain.(json.Number)
	if text, isText := child.plain.(string); isText {
		number, isNumber = json.Number(text), true
	}
	n, err := number.Int64()
	if !isNumber || err != nil {
		d.wrong.Add(child.at, "is %s, want a whole number", child.kind())
		return 0, false
	}
	return n, true
}

// port is the port at a key, which has to be there.
func (v *value) port(d *draft, key string) int64 {
	before := len(d.wrong)
	n, ok := v.number(d, key)
	switch {
	case len(d.wrong) > before: // it is no number
	case !ok:
		d.wrong.Add(v.at.Child(key), "is missing, want a port, 1 to 65535")
	case n < 1 || n > 65535:
		d.wrong.Add(v.at.Child(key), "is %d, want a port, 1 to 65535", n)
	}
	return n
}

// flag is the truth at a key.
func (v *value) flag(d *draft, key string) bool {
	child := v.object[key]
	if child == nil {
		return false
	}
	child.known = true
	is, ok := child.plain.(bool)
	if !ok && (child.plain != nil || child.object != nil || child.isList) {
		d.wrong.Add(child.at, "is %s, want true or false", child.kind())
	}
	return is
}

// duration is App Mesh's length of time at a key, as {"unit": "ms", "value": 250}.
func (v *value) duration(d *draft, key string) (time.Duration, bool) {
	if !v.has(key) {
		v.drop(key)
		return 0, false
	}
	of := v.in(d, key)
	n, ok := of.number(d, "value")
	switch unit := of.text(d, "unit"); unit {
	case "s":
		return time.Duration(n) * time.Second, ok
	case "ms":
		return time.Duration(n) * time.Millisecond, ok
	default:
		d.wrong.Add(of.at.Child("unit"), "is %q, want s or ms", unit)
		return 0, false
	}
}

// raw is the value as encoding/json has it, all of it known.
func (v *value) raw() any {
	v.know()
	switch {
	case v.object != nil:
		all := map[string]any{}
		for key, child := range v.object {
			all[key] = child.raw()
		}
		return all
	case v.isList:
		all := []any{}
		for _, child := range v.list {
			all = append(all, child.raw())
		}
		return all
	}
	return v.plain
}

// unknown tells of what nobody has asked for and says something, of each the outermost.
func (v *value) unknown(tell func(*value)) {
	for _, key := range slices.Sorted(maps.Keys(v.object)) {
		child := v.object[key]
		switch {
		case child.known:
			child.unknown(tell)
		case !child.saysNothing():
			tell(child)
		}
	}
	for _, child := range v.list {
		child.unknown(tell)
	}
}
