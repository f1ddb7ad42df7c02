package rollout

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/document"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Configuration is what ECS is asked for, also by a service without the block. What is new in ECS is said only where it is asked for;
// Reset says the rest where a service has it. daemon says that ECS places a task on each container instance: it has defaults of its own.
func (m *Deployment) Configuration(daemon bool) *ecstypes.DeploymentConfiguration {
	c := &ecstypes.DeploymentConfiguration{
		MinimumHealthyPercent: aws.Int32(defaultMinimumHealthy), MaximumPercent: aws.Int32(defaultMaximum),
		DeploymentCircuitBreaker: &ecstypes.DeploymentCircuitBreaker{},
	}
	if daemon {
		c.MinimumHealthyPercent, c.MaximumPercent = aws.Int32(0), nil
	}
	if m == nil {
		return c
	}
	row.ToSpec(c, m)
	for i, hook := range m.LifecycleHooks {
		if hook.HookDetails != nil {
			c.LifecycleHooks[i].HookDetails = details(*hook.HookDetails)
		}
	}
	return c
}

// details is the document that a JSON text, which the schema has checked, says.
func details(text string) document.Interface {
	var v map[string]any
	decoder := json.NewDecoder(bytes.NewBufferString(text))
	decoder.UseNumber() // large ones keep their digits
	_ = decoder.Decode(&v)
	return document.NewLazyDocument(numbers(v))
}

// numbers makes of JSON's numbers those that the SDK's documents know.
func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, below := range v {
			v[key] = numbers(below)
		}
	case []any:
		for i, below := range v {
			v[i] = numbers(below)
		}
	case json.Number:
		if whole, err := v.Int64(); err == nil {
			return whole
		}
		fraction, _ := v.Float64() // the text was read as a number
		return fraction
	}
	return v
}

// Reset sets what ECS would keep, as an update does not say it, though m no longer asks for it. had is what the resource asked for
// before: what ECS makes of a bake time that nobody says depends on more than the resource knows.
func (m *Deployment) Reset(input, is *ecstypes.DeploymentConfiguration, had *Deployment) {
	if is == nil {
		return
	}
	want, was := row.Value(m), row.Value(had)
	if want.Strategy == nil && is.Strategy != "" && is.Strategy != defaultStrategy {
		input.Strategy = defaultStrategy
	}
	if want.BakeTimeInMinutes == nil && was.BakeTimeInMinutes != nil {
		input.BakeTimeInMinutes = aws.Int32(0)
		if cmp.Or(row.Value(want.Strategy), defaultStrategy) != defaultStrategy {
			input.BakeTimeInMinutes = aws.Int32(defaultBake)
		}
	}
	if a := is.Alarms; want.Alarms == nil && a != nil && (a.Enable || len(a.AlarmNames) > 0) {
		input.Alarms = &ecstypes.DeploymentAlarms{AlarmNames: []string{}}
	}
	if e := is.EarlySuccessCriteria; want.EarlySuccessCriteria == nil && e != nil && e.Enable {
		input.EarlySuccessCriteria = &ecstypes.DeploymentEarlySuccessCriteria{}
	}
	if len(want.LifecycleHooks) == 0 && len(is.LifecycleHooks) > 0 {
		input.LifecycleHooks = []ecstypes.DeploymentLifecycleHook{}
	}
	if row.Value(want.Strategy) == string(ecstypes.DeploymentStrategyCanary) && is.CanaryConfiguration != nil {
		input.CanaryConfiguration = overDefault(input.CanaryConfiguration, ecstypes.CanaryConfiguration{CanaryPercent: aws.Float64(defaultCanaryPercent), CanaryBakeTimeInMinutes: aws.Int32(defaultCanaryBake)})
	}
	if row.Value(want.Strategy) == string(ecstypes.DeploymentStrategyLinear) && is.LinearConfiguration != nil {
		input.LinearConfiguration = overDefault(input.LinearConfiguration, ecstypes.LinearConfiguration{StepPercent: aws.Float64(defaultStepPercent), StepBakeTimeInMinutes: aws.Int32(defaultStepBake)})
	}
	resetBreaker(input.DeploymentCircuitBreaker, is.DeploymentCircuitBreaker)
}

func overDefault[T any](asked *T, otherwise T) *T { return row.Overlay(&otherwise, asked) }

func resetBreaker(input, is *ecstypes.DeploymentCircuitBreaker) {
	if is == nil {
		return
	}
	if input.ResetOnHealthyTask == nil && is.ResetOnHealthyTask != nil {
		input.ResetOnHealthyTask = aws.Bool(true)
	}
	if input.ThresholdConfiguration == nil && is.ThresholdConfiguration != nil {
		input.ThresholdConfiguration = &ecstypes.ThresholdConfiguration{Type: defaultThresholdType, Value: defaultThreshold}
	}
}

// Refreshed takes over what the service has. What the user leaves out stays out while it is ECS's default.
func (m *Deployment) Refreshed(is *ecstypes.DeploymentConfiguration, daemon bool) *Deployment {
	if is == nil {
		return m
	}
	was := row.Value(m)
	next := Deployment{Strategy: row.RefreshedText(was.Strategy, is.Strategy, defaultStrategy)}
	next.MinimumHealthyPercent, next.MaximumPercent = refreshedPercents(was, is, daemon)
	if was.BakeTimeInMinutes != nil && is.BakeTimeInMinutes != nil {
		next.BakeTimeInMinutes = is.BakeTimeInMinutes
	}
	next.CircuitBreaker = refreshedBlock(was.CircuitBreaker, is.DeploymentCircuitBreaker, spellBreaker)
	next.Alarms = refreshedBlock(was.Alarms, is.Alarms, spellAlarms)
	next.CanaryConfiguration, next.LinearConfiguration = was.CanaryConfiguration, was.LinearConfiguration // of another strategy they do not count
	switch is.Strategy {
	case ecstypes.DeploymentStrategyCanary:
		next.CanaryConfiguration = refreshedBlock(was.CanaryConfiguration, is.CanaryConfiguration, spellCanary)
	case ecstypes.DeploymentStrategyLinear:
		next.LinearConfiguration = refreshedBlock(was.LinearConfiguration, is.LinearConfiguration, spellLinear)
	}
	next.EarlySuccessCriteria = refreshedBlock(was.EarlySuccessCriteria, is.EarlySuccessCriteria, spellEarlySuccess)
	next.LifecycleHooks = refreshedHooks(was.LifecycleHooks, is.LifecycleHooks)
	if m == nil && row.SameMeaning(next, Deployment{}, func(*Deployment) {}) {
		return nil
	}
	return &next
}

// refreshedPercents leaves out what ECS decides of a daemon's.
func refreshedPercents(was Deployment, is *ecstypes.DeploymentConfiguration, daemon bool) (least, most *int32) {
	otherwise, high := int32(defaultMinimumHealthy), int32(defaultMaximum)
	if daemon {
		otherwise, high = 0, aws.ToInt32(is.MaximumPercent)
	}
	if is.MinimumHealthyPercent != nil {
		least = row.Refreshed(was.MinimumHealthyPercent, *is.MinimumHealthyPercent, otherwise)
	}
	if is.MaximumPercent != nil {
		most = row.Refreshed(was.MaximumPercent, *is.MaximumPercent, high)
	}
	return least, most
}

// refreshedBlock keeps the user's spelling while it means the same. A block of defaults that the user left out stays out.
func refreshedBlock[M, S any](was *M, is *S, spell func(*M)) *M {
	var next *M
	row.FromSpec(&next, is)
	if row.SameMeaning(row.Value(was), row.Value(next), spell) {
		return was
	}
	if next == nil && was == nil {
		return nil
	}
	now := row.Value(next)
	spell(&now)
	return &now
}

func spellBreaker(m *CircuitBreaker) {
	row.Spell(&m.Enable, false)
	row.Spell(&m.Rollback, false)
	row.Spell(&m.ResetOnHealthyTask, true)
	if t := m.ThresholdConfiguration; t != nil && row.Value(t.Type) == defaultThresholdType && row.Value(t.Value) == defaultThreshold {
		m.ThresholdConfiguration = nil
	}
}

func spellAlarms(m *Alarms) {
	row.Spell(&m.Enable, false)
	row.Spell(&m.Rollback, false)
	slices.Sort(m.AlarmNames)
}

func spellCanary(m *Canary) {
	row.Spell(&m.CanaryPercent, defaultCanaryPercent)
	row.Spell(&m.CanaryBakeTimeInMinutes, defaultCanaryBake)
}

func spellLinear(m *Linear) {
	row.Spell(&m.StepPercent, defaultStepPercent)
	row.Spell(&m.StepBakeTimeInMinutes, defaultStepBake)
}

func spellEarlySuccess(m *EarlySuccess) { row.Spell(&m.Enable, false) }

func refreshedHooks(was []Hook, is []ecstypes.DeploymentLifecycleHook) []Hook {
	var next []Hook
	row.FromSpec(&next, is)
	for i, hook := range is {
		next[i].HookDetails = textOf(hook.HookDetails)
		slices.Sort(next[i].LifecycleStages)
	}
	if slices.EqualFunc(was, next, func(a, b Hook) bool { return row.SameMeaning(a, b, spellHook) }) {
		return was
	}
	return next
}

func spellHook(m *Hook) {
	row.Spell(&m.TargetType, defaultHookTarget)
	slices.Sort(m.LifecycleStages)
	if m.HookDetails != nil {
		m.HookDetails = textOf(details(*m.HookDetails)) // its keys in order, and no blanks
	}
	if m.TimeoutConfiguration == nil {
		m.TimeoutConfiguration = &HookTimeout{}
	}
	row.Spell(&m.TimeoutConfiguration.Action, defaultTimeoutAction)
	row.Spell(&m.TimeoutConfiguration.TimeoutInMinutes, defaultTimeout)
}

// textOf is the JSON of a document; nil of none.
func textOf(d document.Interface) *string {
	if d == nil {
		return nil
	}
	text, err := d.MarshalSmithyDocument()
	var v any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err != nil || decoder.Decode(&v) != nil || v == nil {
		return nil
	}
	text, err = json.Marshal(v) // with the keys in order
	if err != nil {
		return nil
	}
	return aws.String(string(text))
}

// SpellDefaults says what is left out and has a default, as an import does.
func (m *Deployment) SpellDefaults(daemon bool) {
	if m == nil {
		return
	}
	row.Spell(&m.Strategy, defaultStrategy)
	if !daemon {
		row.Spell(&m.MinimumHealthyPercent, defaultMinimumHealthy)
		row.Spell(&m.MaximumPercent, defaultMaximum)
	}
	if m.CircuitBreaker != nil {
		spellBreaker(m.CircuitBreaker)
	}
	if m.Alarms != nil {
		spellAlarms(m.Alarms)
	}
	for i := range m.LifecycleHooks {
		row.Spell(&m.LifecycleHooks[i].TargetType, defaultHookTarget)
	}
}
