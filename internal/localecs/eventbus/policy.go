package eventbus

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// service is who EventBridge is where it asks another service.
const service = "events.amazonaws.com"

// request is a delivery as a queue's policy sees it.
type request struct{ queueARN, ruleARN, account string }

// policyText is a policy as far as a delivery can depend on it.
type policyText struct {
	Statement oneOrMore[statement]
}

type statement struct {
	Effect                 string
	Principal              json.RawMessage
	Action, Resource       oneOrMore[string]
	NotPrincipal           json.RawMessage
	NotAction, NotResource oneOrMore[string]
	Condition              map[string]map[string]oneOrMore[string]
}

// oneOrMore is a list in whose place IAM takes its only element, too.
type oneOrMore[T any] []T

// UnmarshalJSON implements json.Unmarshaler.
func (o *oneOrMore[T]) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '[' {
		return json.Unmarshal(text, (*[]T)(o))
	}
	*o = make([]T, 1)
	return json.Unmarshal(text, &(*o)[0])
}

// allowed says why a queue's policy does not let the delivery through; nil where it does. What is not understood allows nothing,
// and denies.
func allowed(policy string, r request) error {
	if policy == "" {
		return fmt.Errorf("the queue has no policy that allows %s to send", service)
	}
	var in policyText
	if err := json.Unmarshal([]byte(policy), &in); err != nil {
		return fmt.Errorf("read policy: %w", err)
	}
	allows := false
	for _, s := range in.Statement {
		applies, why := s.applies(r)
		switch {
		case s.Effect == "Deny" && (applies || why != nil):
			return fmt.Errorf("the queue's policy denies it (%v)", why)
		case s.Effect == "Allow" && applies && why == nil:
			allows = true
		}
	}
	if !allows {
		return fmt.Errorf("the queue's policy does not allow %s to send for rule %s", service, r.ruleARN)
	}
	return nil
}

// applies reports whether a statement is about the delivery; an error says what of it is not understood.
func (s statement) applies(r request) (bool, error) {
	if s.NotPrincipal != nil || s.NotAction != nil || s.NotResource != nil {
		return false, fmt.Errorf("NotPrincipal, NotAction and NotResource are not known to the local EventBridge")
	}
	is := func(value string, fold bool) func(string) bool {
		return func(pattern string) bool { return like(pattern, value, fold) }
	}
	if !principal(s.Principal) || !slices.ContainsFunc(s.Action, is("sqs:SendMessage", true)) || !slices.ContainsFunc(s.Resource, is(r.queueARN, false)) {
		return false, nil
	}
	for operator, keys := range s.Condition {
		for key, values := range keys {
			holds, err := r.condition(operator, key, values)
			if err != nil || !holds {
				return false, err
			}
		}
	}
	return true, nil
}

func principal(text json.RawMessage) bool {
	var everyone string
	if json.Unmarshal(text, &everyone) == nil {
		return everyone == "*"
	}
	var of map[string]oneOrMore[string]
	if json.Unmarshal(text, &of) != nil {
		return false
	}
	return slices.Contains(of["Service"], service) || slices.Contains(of["AWS"], "*")
}

// condition evaluates one key of a condition.
func (r request) condition(operator, key string, values []string) (bool, error) {
	given, known := map[string]string{"aws:sourcearn": r.ruleARN, "aws:sourceaccount": r.account, "aws:securetransport": "true"}[strings.ToLower(key)]
	if !known {
		return false, fmt.Errorf("condition key %s is not known to the local EventBridge", key)
	}
	compare, known := map[string]func(string) bool{
		"ArnEquals": func(p string) bool { return like(p, given, false) }, "ArnLike": func(p string) bool { return like(p, given, false) },
		"StringLike":             func(p string) bool { return like(p, given, false) },
		"StringEquals":           func(p string) bool { return p == given },
		"StringEqualsIgnoreCase": func(p string) bool { return strings.EqualFold(p, given) },
		"Bool":                   func(p string) bool { return p == given },
	}[operator]
	if !known {
		return false, fmt.Errorf("condition operator %s is not known to the local EventBridge", operator)
	}
	return slices.ContainsFunc(values, compare), nil
}

// like compares with a pattern in which * stands for any text and ? for any character.
func like(pattern, value string, fold bool) bool {
	expression := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
	if fold {
		expression = "(?i)" + expression
	}
	return regexp.MustCompile("^(?:" + expression + ")$").MatchString(value)
}
