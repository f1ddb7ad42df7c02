package eventbus

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Pattern is an event pattern of EventBridge: the fields that an event must have, each with the values that will do.
type Pattern struct{ root condition }

// condition looks at what stands at a place of an event. Nothing stands there where found is false.
type condition func(value any, found bool) bool

// ParsePattern reads a pattern as PutRule takes it. One with an operator that is not known here is an error: to guess would
// deliver too much or too little.
func ParsePattern(text string) (Pattern, error) {
	var root map[string]any
	if err := json.Unmarshal([]byte(text), &root); err != nil {
		return Pattern{}, fmt.Errorf("read event pattern: %w", err)
	}
	c, err := object(root)
	if err != nil {
		return Pattern{}, fmt.Errorf("read event pattern: %w", err)
	}
	return Pattern{c}, nil
}

// Matches reports whether the pattern fits an event, which is JSON as encoding/json reads it into an any.
func (p Pattern) Matches(event any) bool { return p.root(event, true) }

// object wants all of its fields. Where an event has a list of objects, one of them has to have them all.
func object(fields map[string]any) (condition, error) {
	if len(fields) == 0 {
		return nil, errors.New("an object without fields")
	}
	conditions := map[string]condition{}
	var either condition
	for key, value := range fields {
		var err error
		if list, isList := value.([]any); key == "$or" && isList {
			either, err = anyOf(list)
		} else {
			conditions[key], err = field(value)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	var all condition
	all = func(value any, found bool) bool {
		if list, isList := value.([]any); isList {
			return slices.ContainsFunc(list, func(v any) bool { return all(v, true) })
		}
		in, _ := value.(map[string]any) // what is no object has none of the fields
		for key, c := range conditions {
			if v, has := in[key]; !c(v, has) {
				return false
			}
		}
		return either == nil || either(value, found)
	}
	return all, nil
}

func anyOf(list []any) (condition, error) {
	var choices []condition
	for _, item := range list {
		fields, _ := item.(map[string]any)
		c, err := object(fields)
		if err != nil {
			return nil, err
		}
		choices = append(choices, c)
	}
	return func(value any, found bool) bool {
		return slices.ContainsFunc(choices, func(c condition) bool { return c(value, found) })
	}, nil
}

func field(value any) (condition, error) {
	switch v := value.(type) {
	case map[string]any:
		return object(v)
	case []any:
		return leaf(v)
	}
	return nil, fmt.Errorf("%v is neither an object nor a list", value)
}

// leaf wants one of the list's values, or a comparison that holds. Of a list in the event one element is enough.
func leaf(list []any) (condition, error) {
	if len(list) == 0 {
		return nil, errors.New("an empty list")
	}
	var comparisons []func(any) bool
	var exists, missing bool
	for _, item := range list {
		operator, isOperator := item.(map[string]any)
		if want, only := operator["exists"].(bool); only && len(operator) == 1 {
			exists, missing = exists || want, missing || !want
			continue
		}
		var c func(any) bool
		var err error
		if isOperator {
			c, err = comparison(operator)
		} else {
			c, err = equals(item)
		}
		if err != nil {
			return nil, err
		}
		comparisons = append(comparisons, c)
	}
	return func(value any, found bool) bool {
		if _, isObject := value.(map[string]any); isObject || !found {
			return missing
		}
		values, isList := value.([]any)
		if !isList {
			values = []any{value}
		}
		return exists || slices.ContainsFunc(values, func(v any) bool {
			return slices.ContainsFunc(comparisons, func(c func(any) bool) bool { return c(v) })
		})
	}, nil
}

func equals(want any) (func(any) bool, error) {
	switch want.(type) {
	case string, float64, bool, nil:
		return func(v any) bool { return v == want }, nil
	}
	return nil, fmt.Errorf("a list in a list: %v", want)
}

// comparison is one operator with its operand.
func comparison(operator map[string]any) (func(any) bool, error) {
	if len(operator) != 1 {
		return nil, fmt.Errorf("%d operators in one object", len(operator))
	}
	for name, operand := range operator {
		switch name {
		case "anything-but":
			return anythingBut(operand)
		case "numeric":
			return numeric(operand)
		case "cidr":
			text, _ := operand.(string)
			prefix, err := netip.ParsePrefix(text)
			return func(v any) bool {
				text, _ := v.(string)
				address, err := netip.ParseAddr(text)
				return err == nil && prefix.Contains(address)
			}, err
		}
		return textual(name, operand)
	}
	return nil, nil // not reached: there is one
}

// textual is an operator on a text. prefix and suffix may wrap what makes them blind to case.
func textual(name string, operand any) (func(any) bool, error) {
	fold := func(s string) string { return s }
	if wrapped, ok := operand.(map[string]any); ok && (name == "prefix" || name == "suffix") && len(wrapped) == 1 {
		operand, fold = wrapped["equals-ignore-case"], strings.ToLower
	}
	want, ok := operand.(string)
	if !ok {
		return nil, fmt.Errorf("%s: %v is not a text", name, operand)
	}
	var compare func(string) bool
	switch want = fold(want); name {
	case "prefix":
		compare = func(s string) bool { return strings.HasPrefix(fold(s), want) }
	case "suffix":
		compare = func(s string) bool { return strings.HasSuffix(fold(s), want) }
	case "equals-ignore-case":
		compare = func(s string) bool { return strings.EqualFold(s, want) }
	case "wildcard":
		parts := strings.Split(want, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		compare = regexp.MustCompile("(?s)^" + strings.Join(parts, ".*") + "$").MatchString
	default:
		return nil, fmt.Errorf("operator %q is not known to the local EventBridge", name)
	}
	return func(v any) bool {
		s, isText := v.(string)
		return isText && compare(s)
	}, nil
}

// anythingBut turns one operand, or each of a list, around.
func anythingBut(operand any) (func(any) bool, error) {
	name, operands := "", operand
	if wrapped, ok := operand.(map[string]any); ok {
		if len(wrapped) != 1 {
			return nil, fmt.Errorf("anything-but: %d operators in one object", len(wrapped))
		}
		for name, operands = range wrapped { // there is one
		}
	}
	list, isList := operands.([]any)
	if !isList {
		list = []any{operands}
	}
	var unwanted []func(any) bool
	for _, item := range list {
		var c func(any) bool
		var err error
		if name == "" {
			c, err = equals(item)
		} else {
			c, err = textual(name, item)
		}
		if err != nil {
			return nil, fmt.Errorf("anything-but: %w", err)
		}
		unwanted = append(unwanted, c)
	}
	return func(v any) bool {
		return !slices.ContainsFunc(unwanted, func(c func(any) bool) bool { return c(v) })
	}, nil
}

// numeric is a list of comparisons, all of which have to hold: [">", 0, "<=", 5].
func numeric(operand any) (func(any) bool, error) {
	list, _ := operand.([]any)
	if len(list) == 0 || len(list)%2 != 0 {
		return nil, fmt.Errorf("numeric: %v is not a list of pairs", operand)
	}
	var all []func(float64) bool
	for pair := range slices.Chunk(list, 2) {
		want, ok := pair[1].(float64)
		c, known := map[any]func(float64) bool{
			"<": func(v float64) bool { return v < want }, "<=": func(v float64) bool { return v <= want },
			">": func(v float64) bool { return v > want }, ">=": func(v float64) bool { return v >= want },
			"=": func(v float64) bool { return v == want },
		}[pair[0]]
		if !ok || !known {
			return nil, fmt.Errorf("numeric: %v is not a comparison with a number", pair)
		}
		all = append(all, c)
	}
	return func(v any) bool {
		number, isNumber := v.(float64)
		return isNumber && !slices.ContainsFunc(all, func(c func(float64) bool) bool { return !c(number) })
	}, nil
}
