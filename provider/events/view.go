package events

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/consulecs/terraform-provider-consulecs/internal/eventqueue"
	"github.com/consulecs/terraform-provider-consulecs/provider/canonical"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
)

// View is the queues and the rule as far as a resource keeps them: what others add is theirs and does not show.
type View struct {
	Queues []QueueView `json:"queues,omitempty"` // in the order in which they are made
	Rule   *RuleView   `json:"rule,omitempty"`
}

// QueueView is a queue.
type QueueView struct {
	Name       string                     `json:"name"`
	Attributes map[string]json.RawMessage `json:"attributes"` // by SQS's names
	Tags       map[string]string          `json:"tags"`
}

// RuleView is a rule.
type RuleView struct {
	Name    string            `json:"name"`
	Pattern json.RawMessage   `json:"pattern"`
	State   string            `json:"state"`
	Targets map[string]string `json:"targets"` // ARNs by their IDs
	Tags    map[string]string `json:"tags"`
}

// viewOf is what is wanted, with the tags of its owner.
func viewOf(d eventqueue.Design, owner ownership.Owner) View {
	d = d.Tagged(owner.OnECS())
	v := View{Rule: &RuleView{
		Name: d.Rule.Name, Pattern: canonical.JSON(d.Rule.Pattern), State: stateEnabled, Targets: map[string]string{eventqueue.TargetID: d.Rule.TargetARN}, Tags: d.Tags,
	}}
	for _, q := range []eventqueue.Queue{d.DeadLetterQueue, d.Queue} {
		v.Queues = append(v.Queues, QueueView{Name: q.Name, Attributes: attributes(q.Attributes), Tags: d.Tags})
	}
	return v
}

func attributes(plain map[string]string) map[string]json.RawMessage {
	all := map[string]json.RawMessage{}
	for name, value := range plain {
		all[name] = canonical.JSON(value)
	}
	return all
}

// queue is the queue of the name; nil if there is none.
func (v View) queue(name string) *QueueView {
	at := slices.IndexFunc(v.Queues, func(q QueueView) bool { return q.Name == name })
	if at < 0 {
		return nil
	}
	return &v.Queues[at]
}

func (v View) isEmpty() bool { return len(v.Queues) == 0 && v.Rule == nil }

// within is what v, a queue as SQS has it, shows of the queue that the resource keeps.
func (v QueueView) within(kept QueueView) QueueView {
	v.Attributes, v.Tags = only(v.Attributes, kept.Attributes), only(v.Tags, kept.Tags)
	return v
}

func (v RuleView) within(kept RuleView) RuleView {
	v.Targets, v.Tags = only(v.Targets, kept.Targets), only(v.Tags, kept.Tags)
	return v
}

// only are the elements whose keys are kept.
func only[V, K any](all map[string]V, kept map[string]K) map[string]V {
	found := maps.Clone(all)
	maps.DeleteFunc(found, func(key string, _ V) bool { _, ok := kept[key]; return !ok })
	return found
}

// wrong are the attributes that are not as wanted.
func (v QueueView) wrong(found QueueView) map[string]json.RawMessage {
	wrong := maps.Clone(v.Attributes)
	maps.DeleteFunc(wrong, func(name string, value json.RawMessage) bool { return string(found.Attributes[name]) == string(value) })
	return wrong
}

// shownTo is the view as its owner's state shows it.
func (v View) shownTo(owner ownership.Owner) View {
	shown := View{}
	for _, q := range v.Queues {
		q.Tags = owner.Shown(q.Tags)
		shown.Queues = append(shown.Queues, q)
	}
	if v.Rule != nil {
		rule := *v.Rule
		rule.Tags = owner.Shown(rule.Tags)
		shown.Rule = &rule
	}
	return shown
}

// encode writes a view for the state; nil where there is nothing.
func encode(v View) (*string, error) {
	if v.isEmpty() {
		return nil, nil
	}
	return ownership.Encode("events", v)
}

// decode reads what encode wrote.
func decode(text *string) (View, error) { return ownership.Decode[View]("events", text) }
