package provider_test

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/provider"
)

// The shortcut that plans, refreshes, upgrades and validations take is compared here with the way through the framework alone, for
// whatever the dice make of a resource.

// byFramework is the provider without the shortcut.
func byFramework(t testing.TB) protocol {
	t.Helper()
	server := providerserver.NewProtocol6(provider.New("test")())()
	schemas, err := server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return protocol{server, schemas}
}

// answer is what Terraform gets to hear.
type answer struct {
	value   tftypes.Value
	rest    string // as a text: what is to be replaced, and what is kept beside the state
	said    string
	isError bool
}

// heard is an answer; of one with an error, its value does not count.
func heard(t *testing.T, typ tftypes.Type, value *tfprotov6.DynamicValue, said []*tfprotov6.Diagnostic, rest ...any) answer {
	t.Helper()
	a := answer{rest: fmt.Sprint(rest...), isError: slices.ContainsFunc(said, isError)}
	if !a.isError && value != nil {
		var err error
		if a.value, err = value.Unmarshal(typ); err != nil {
			t.Fatal(err)
		}
	}
	var all []string
	for _, d := range said {
		text := fmt.Sprintf("%v %v %s: %s", d.Severity, d.Attribute, d.Summary, d.Detail)
		all = append(all, strings.ReplaceAll(text, "service[0]", "service")) // the provider names a block that is alone without its index
	}
	slices.Sort(all) // the framework goes through a schema in any order
	a.said = strings.Join(all, "\n")
	return a
}

// differs says how the one answer differs from the other; "" if it does not.
func (a answer) differs(other answer) string {
	switch {
	case a.said != other.said:
		return fmt.Sprintf("it says\n%s\n\nthe framework says\n%s", a.said, other.said)
	case a.isError:
		return ""
	case a.rest != other.rest:
		return fmt.Sprintf("beside the value it has\n%s\n\nthe framework has\n%s", a.rest, other.rest)
	case !a.value.Equal(other.value):
		differences, err := a.value.Diff(other.value)
		return fmt.Sprintf("%v %v", differences, err)
	}
	return ""
}

// asked is a resource between Terraform and the provider.
type asked struct {
	resource        string
	typ             tftypes.Type
	config, planned *tfprotov6.DynamicValue
	was             identified
}

func (q asked) plan(t *testing.T, p protocol) answer {
	t.Helper()
	got, err := p.PlanResourceChange(t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: q.resource, Config: q.config, PriorState: q.was.state, PriorPrivate: q.was.private, PriorIdentity: q.was.identity, ProposedNewState: q.planned,
	})
	if err != nil {
		t.Fatal(err)
	}
	var replaced []string
	for _, at := range got.RequiresReplace {
		replaced = append(replaced, at.String())
	}
	return heard(t, q.typ, got.PlannedState, got.Diagnostics, replaced, string(got.PlannedPrivate), got.PlannedIdentity == nil)
}

func (q asked) refresh(t *testing.T, p protocol) answer {
	t.Helper()
	got, err := p.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{TypeName: q.resource, CurrentState: q.was.state, Private: q.was.private, CurrentIdentity: q.was.identity})
	if err != nil {
		t.Fatal(err)
	}
	return heard(t, q.typ, got.NewState, got.Diagnostics, string(got.Private), p.values(t, q.resource, got.NewIdentity))
}

func (q asked) upgrade(t *testing.T, p protocol, version int64, stored []byte) answer {
	t.Helper()
	got, err := p.UpgradeResourceState(t.Context(), &tfprotov6.UpgradeResourceStateRequest{TypeName: q.resource, Version: version, RawState: &tfprotov6.RawState{JSON: stored}})
	if err != nil {
		t.Fatal(err)
	}
	return heard(t, q.typ, got.UpgradedState, got.Diagnostics)
}

// newOf is a resource that is to be, of a configuration.
func newOf(t *testing.T, p protocol, resource string, written tftypes.Value) asked {
	t.Helper()
	return asked{resource, written.Type(), dynamic(t, written), dynamic(t, proposed(t, p.block(resource), written)), identified{state: dynamic(t, tftypes.NewValue(written.Type(), nil))}}
}

func TestTheShortcutAnswersForExistingResourcesAsTheFramework(t *testing.T) {
	t.Parallel()
	c, p, plain, maker := startMoto(t), speak(t), byFramework(t), speak(t) // a provider remembers the names that it has planned
	at := c.surroundings(t, "shortcut")
	ours := fields{"region": "us-east-1", "endpoints": fields{"ecs": c.url, "iam": c.url, "sts": c.url, "secretsmanager": c.url, "sqs": c.url, "events": c.url}}
	p.configure(t, ours)
	plain.configure(t, ours)
	maker.configure(t, ours)
	for resource, config := range map[string]fields{
		meshTaskType: estateTask(at, 1), "consulecs_controller": controllerSpelling(at, fields{"wait_for_steady_state": false}),
	} {
		version := p.schemas.ResourceSchemas[resource].Version
		written := object(t, p.block(resource), config)
		q := newOf(t, p, resource, written)
		q.was = maker.create(t, resource, config)
		if d := q.refresh(t, p).differs(q.refresh(t, plain)); d != "" {
			t.Errorf("%s, refreshed: %s", resource, d)
		}
		fine := q
		state, made := withTenth(t, q.was.state, q.typ)
		if fine.was.state = dynamic(t, state); !made && resource == meshTaskType {
			t.Error("the task has no place for a decimal")
		}
		if d := fine.refresh(t, p).differs(fine.refresh(t, plain)); d != "" {
			t.Errorf("%s with a decimal of no exact double, refreshed: %s", resource, d)
		}
		stored, err := asJSON(q.was.state, q.typ)
		if err != nil {
			t.Fatal(err)
		}
		for _, stored := range []string{string(stored), `{"family": "x"}`, `{"gone": 1}`, `{"family": 1}`, `{"service": []}`, `[]`, ``} {
			for _, version := range []int64{version, version - 1, version + 1} {
				if d := q.upgrade(t, p, version, []byte(stored)).differs(q.upgrade(t, plain, version, []byte(stored))); d != "" {
					t.Errorf("%s, %.100s of version %d upgraded: %s", resource, stored, version, d)
				}
			}
		}
		q.planned = q.was.state
		if d := q.plan(t, p).differs(q.plan(t, plain)); d != "" {
			t.Errorf("%s, planned without a change: %s", resource, d)
		}
		tried := 0
		eachRandomOf(t, 30, func(t *testing.T, _ uint64, d dice) {
			varied := object(t, p.block(resource), d.vary(p.block(resource), config, []float64{0.005, 0.01, 0.03}[d.IntN(3)]))
			p.configure(t, ours) // which forgets the names
			plain.configure(t, ours)
			changed := newOf(t, p, resource, varied)
			changed.was = q.was
			if d.oneIn(2) { // what is computed is proposed as it was
				changed.planned = dynamic(t, carried(t, p.block(resource), varied, q.was.state))
			}
			is, want := changed.plan(t, p), changed.plan(t, plain)
			if strings.Contains(want.said, "Duplicate Set Element") { // the framework finds it first; Terraform's own sets have none
				return
			}
			if d := is.differs(want); d != "" {
				t.Errorf("%s, planned: %s", resource, d)
			}
			if !is.isError {
				tried++
			}
		})
		t.Logf("%s: %d changes were planned", resource, tried)
	}
}

// withTenth is a state whose ECS service, if it has one, shifts a tenth of a percent first, as precisely as Terraform reads that.
func withTenth(t *testing.T, state *tfprotov6.DynamicValue, typ tftypes.Type) (next tftypes.Value, made bool) {
	t.Helper()
	was, err := state.Unmarshal(typ)
	if err != nil {
		t.Fatal(err)
	}
	tenth, _, err := big.ParseFloat("0.1", 10, 512, big.ToNearestEven)
	if err != nil {
		t.Fatal(err)
	}
	next, err = tftypes.Transform(was, func(at *tftypes.AttributePath, v tftypes.Value) (tftypes.Value, error) {
		if at.String() == `AttributeName("ecs_service").AttributeName("deployment")` {
			object := v.Type().(tftypes.Object)
			canary := object.AttributeTypes["canary_configuration"].(tftypes.Object)
			all, inside := map[string]tftypes.Value{}, map[string]tftypes.Value{}
			if !v.IsNull() {
				if err := v.As(&all); err != nil {
					return v, err
				}
			}
			for name, of := range object.AttributeTypes {
				if _, ok := all[name]; !ok {
					all[name] = tftypes.NewValue(of, nil)
				}
			}
			for name, of := range canary.AttributeTypes {
				inside[name] = tftypes.NewValue(of, nil)
			}
			inside["canary_percent"] = tftypes.NewValue(tftypes.Number, tenth)
			all["canary_configuration"], made = tftypes.NewValue(canary, inside), true
			return tftypes.NewValue(object, all), nil
		}
		return v, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return next, made
}

// carried is a configuration with what is computed at its root as a state has it.
func carried(t *testing.T, schema *tfprotov6.SchemaBlock, written tftypes.Value, state *tfprotov6.DynamicValue) tftypes.Value {
	t.Helper()
	had, err := state.Unmarshal(written.Type())
	if err != nil {
		t.Fatal(err)
	}
	var all, stored map[string]tftypes.Value
	if err := cmp.Or(written.As(&all), had.As(&stored)); err != nil {
		t.Fatal(err)
	}
	merged := map[string]tftypes.Value{}
	for name := range all {
		merged[name] = all[name]
	}
	for _, a := range schema.Attributes {
		if a.Computed && all[a.Name].IsNull() {
			merged[a.Name] = stored[a.Name]
		}
	}
	return tftypes.NewValue(written.Type(), merged)
}
