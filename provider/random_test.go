package provider_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Configurations that nobody would write, made from the schemas alone. Each follows from a seed and its number, so that one that
// failed can be tried again: RANDOM_SEED=… RANDOM_ONLY=… go test ./provider -run Random.

// randomFor is how long a test goes on, and randomMost how many configurations it tries at the most.
const (
	randomFor  = 15 * time.Second
	randomMost = 400
)

// eachRandom calls try with the dice of one configuration after the other.
func eachRandom(t *testing.T, try func(t *testing.T, n uint64, d dice)) {
	t.Helper()
	eachRandomOf(t, randomMost, try)
}

// eachRandomOf is eachRandom for that many at the most.
func eachRandomOf(t *testing.T, most uint64, try func(t *testing.T, n uint64, d dice)) {
	t.Helper()
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv("RANDOM_SEED"), strconv.FormatInt(time.Now().UnixNano(), 10)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	one := func(n uint64) {
		defer func() {
			if p := recover(); p != nil {
				t.Errorf("RANDOM_SEED=%d RANDOM_ONLY=%d: panic: %v", seed, n, p)
			} else if t.Failed() {
				t.Logf("RANDOM_SEED=%d RANDOM_ONLY=%d was the last", seed, n)
			}
		}()
		try(t, n, dice{rand.New(rand.NewPCG(seed, n))})
	}
	if only := os.Getenv("RANDOM_ONLY"); only != "" {
		n, err := strconv.ParseUint(only, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		one(n)
		return
	}
	n, began := uint64(0), time.Now()
	for ; n < most && time.Since(began) < randomFor && !t.Failed(); n++ {
		one(n)
	}
	t.Logf("%d configurations of seed %d in %v", n, seed, time.Since(began).Round(time.Second))
}

// whoseAWS are the settings of the provider that decide whose AWS is meant: at random, it is nobody's.
var whoseAWS = []string{
	"profile", "assume_role", "assume_role_with_web_identity", "shared_config_files", "shared_credentials_files", "allowed_account_ids", "forbidden_account_ids",
	"use_fips_endpoint", "use_dualstack_endpoint",
}

// randomResource is a resource at random: something of everything, something ordinary or nothing to begin with, more or less of
// it thrown anew.
func (d dice) randomResource(p protocol) (resource string, config fields) {
	at := surroundings{"arn:aws:ecs:us-east-1:123456789012:cluster/x", "arn:aws:iam::123456789012:policy/x", "subnet-1", "sg-1"}
	resource, bases := "consulecs_mesh_task", []fields{fullMeshTask("random", at), meshTask(nil), severalServices("random"), nil}
	if d.oneIn(4) {
		resource, bases = "consulecs_controller", []fields{fullController("random", at), controller(nil), nil}
	}
	base := bases[d.IntN(len(bases))]
	rate := []float64{0.01, 0.03, 0.1, 0.3}[d.IntN(4)]
	if base == nil {
		rate = 1
	}
	return resource, d.vary(p.block(resource), base, rate)
}

// What the provider says of a random configuration names an attribute that there is, in words; what it plans is what was asked for. Both
// are what the framework alone says and plans.
func TestRandomConfigurationsAreRefusedInWordsOrPlanned(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	p, plain := speak(t), byFramework(t)
	ours := fields{"region": "us-east-1", "endpoints": fields{"ecs": c.url, "iam": c.url, "sts": c.url, "secretsmanager": c.url, "sqs": c.url, "events": c.url}}
	p.configure(t, ours)
	plain.configure(t, ours)
	planned := 0
	eachRandom(t, func(t *testing.T, _ uint64, d dice) {
		if d.oneIn(3) { // another provider, with the same AWS
			p, plain = speak(t), byFramework(t)
			config := d.vary(p.schemas.Provider.Block, nil, 1)
			for _, name := range append([]string{"max_retries", "retry_mode"}, whoseAWS...) {
				delete(config, name)
			}
			said, wrong := p.tryProvider(t, with(config, ours))
			if wrong != "" {
				t.Errorf("provider %s\n%s", asText(config), wrong)
			}
			if slices.ContainsFunc(said, isError) {
				p = speak(t)
				p.configure(t, ours)
				plain.configure(t, ours)
			} else {
				plain.tryProvider(t, with(config, ours))
			}
		}
		resource, config := d.randomResource(p)
		written := object(t, p.block(resource), config)
		said, plan := p.plan(t, resource, written)
		wrong := wrongWords(said, written.Type())
		if plan != nil {
			planned++
			wrong += inconsistent(t, p.block(resource), written, plan)
		}
		byFramework, plannedByFramework := plain.plan(t, resource, written)
		wrong += heard(t, written.Type(), plan, said).differs(heard(t, written.Type(), plannedByFramework, byFramework))
		if wrong != "" {
			t.Errorf("%s %s\n%s", resource, asText(config), wrong)
		}
	})
	t.Logf("%d of them were planned", planned)
}

func TestRandomProvidersAreRefusedInWordsOrConfigured(t *testing.T) {
	t.Parallel()
	configured := 0
	eachRandom(t, func(t *testing.T, _ uint64, d dice) {
		p := speak(t)
		base := fields{"region": "us-east-1", "consul_servers": fields{"hosts": "consul.example.com"}, "assume_role": fields{"role_arn": "arn:aws:iam::123456789012:role/x"}}
		config := d.vary(p.schemas.Provider.Block, base, []float64{0.1, 0.3, 1}[d.IntN(3)])
		said, wrong := p.tryProvider(t, config)
		if wrong != "" {
			t.Errorf("provider %s\n%s", asText(config), wrong)
		}
		if !slices.ContainsFunc(said, isError) {
			configured++
		}
	})
	t.Logf("%d of them were configured", configured)
}

// The real Terraform says the same of many of them at once, and plans those that the provider plans.
func TestRandomConfigurationsGoThroughTerraform(t *testing.T) {
	t.Parallel()
	const refused, planned = 60, 20
	c := startMoto(t)
	p := speak(t)
	p.configure(t, fields{"region": "us-east-1", "endpoints": fields{"ecs": c.url, "iam": c.url, "sts": c.url, "secretsmanager": c.url, "sqs": c.url, "events": c.url}})
	later := fields{"terraform_data": fields{"later": fields{"input": laterValues}}}
	bad, good := map[string]fields{}, map[string]fields{}
	eachRandom(t, func(t *testing.T, n uint64, d dice) {
		resource, config := d.randomResource(p)
		name := fmt.Sprintf("random-%d", n)
		for _, key := range []string{"family", "name"} { // so that none is in another's way
			if _, ok := config[key].(string); ok {
				config[key] = name
			}
		}
		said, plan := p.plan(t, resource, object(t, p.block(resource), config))
		in := fields{"resource": fields{resource: fields{name: inJSON(config)}}}
		open := strings.Contains(asText(in), `"dynamic"`) // of such blocks, Terraform tells the provider more: what is not in them
		switch {
		case plan != nil && len(said) == 0 && !open && len(good) < planned:
			good[name] = in
		case plan == nil && len(bad) < refused:
			bad[name] = in
		}
	})
	dir := workDir(t)
	dir.write(t, "frame.tf.json", fields{"terraform": requirements(), "resource": later})
	for name, in := range bad {
		dir.write(t, name+".tf.json", in)
	}
	said, err := dir.terraform(t).Validate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range said {
		for _, word := range notWords {
			if strings.Contains(d.Summary+d.Detail, word) {
				t.Errorf("%s: %q in %s: %s", d.Range.Filename, word, d.Summary, d.Detail)
			}
		}
	}
	dir = workDir(t)
	dir.write(t, "frame.tf.json", c.frame(later))
	for name, in := range good {
		dir.write(t, name+".tf.json", in)
	}
	if _, err := dir.terraform(t).PlanChanges(t.Context()); err != nil {
		t.Error(err)
	}
	t.Logf("%d were refused with %d diagnostics, %d planned", len(bad), len(said), len(good))
}

// tryProvider validates and configures the provider, and returns what it says and what is wrong with that.
func (p protocol) tryProvider(t *testing.T, config fields) (said []*tfprotov6.Diagnostic, wrong string) {
	t.Helper()
	written := object(t, p.schemas.Provider.Block, config)
	text := dynamic(t, written)
	validated, err := p.ValidateProviderConfig(t.Context(), &tfprotov6.ValidateProviderConfigRequest{Config: text})
	if err != nil {
		t.Fatal(err)
	}
	said = validated.Diagnostics
	if !slices.ContainsFunc(said, isError) {
		configured, err := p.ConfigureProvider(t.Context(), &tfprotov6.ConfigureProviderRequest{TerraformVersion: "1.11.4", Config: text})
		if err != nil {
			t.Fatal(err)
		}
		said = slices.Concat(said, configured.Diagnostics)
	}
	return said, wrongWords(said, written.Type())
}

// notWords are what no user should read.
var notWords = []string{"%!", "<nil>", "nternal error", "rror in the provider", "rovider developer", "issue with the provider", "bug", "panic", "0x"}

// wrongWords says what is wrong with what was said; "" if nothing is.
func wrongWords(said []*tfprotov6.Diagnostic, typ tftypes.Type) string {
	var wrong strings.Builder
	for _, d := range said {
		text := d.Summary + ": " + d.Detail
		bad := slices.DeleteFunc(slices.Clone(notWords), func(word string) bool { return !strings.Contains(text, word) })
		switch {
		case d.Summary == "" || d.Detail == "":
			bad = append(bad, "nothing said")
		case d.Attribute == nil || len(d.Attribute.Steps()) == 0:
			bad = append(bad, "no attribute")
		case !hasPlace(typ, d.Attribute.Steps()):
			bad = append(bad, "no such attribute")
		}
		if len(bad) > 0 {
			fmt.Fprintf(&wrong, "%q: %s at %s: %s\n", bad, d.Severity, d.Attribute, text)
		}
	}
	return wrong.String()
}

// hasPlace reports whether there may be a value of the type at a path.
func hasPlace(typ tftypes.Type, steps []tftypes.AttributePathStep) bool {
	for _, step := range steps {
		switch t := typ.(type) {
		case tftypes.Object:
			name, ok := step.(tftypes.AttributeName)
			if typ = t.AttributeTypes[string(name)]; !ok || typ == nil {
				return false
			}
		case tftypes.List, tftypes.Set, tftypes.Map:
			if _, ok := step.(tftypes.AttributeName); ok {
				return false
			}
			typ = elementType(t)
		default:
			return false
		}
	}
	return true
}

// inconsistent says what Terraform would not take of a plan; "" if it takes it.
func inconsistent(t *testing.T, schema *tfprotov6.SchemaBlock, config tftypes.Value, plan *tfprotov6.DynamicValue) string {
	t.Helper()
	planned, err := plan.Unmarshal(config.Type())
	if err != nil {
		return err.Error()
	}
	var asked, got map[string]tftypes.Value
	if err := config.As(&asked); err != nil {
		t.Fatal(err)
	}
	if err := planned.As(&got); err != nil {
		t.Fatal(err)
	}
	for name, v := range asked {
		computed := slices.ContainsFunc(schema.Attributes, func(a *tfprotov6.SchemaAttribute) bool { return a.Name == name && a.Computed })
		if !computed && !v.Equal(got[name]) {
			return fmt.Sprintf("%s is %s in the configuration and %s in the plan", name, v, got[name])
		}
	}
	return ""
}

func asText(config fields) string {
	text, err := json.Marshal(config)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
