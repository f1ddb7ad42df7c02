package provider_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"syscall"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// estateSize is how many mesh tasks one configuration of the provider has in BenchmarkPlan: enough that those which are gathered are.
const estateSize = 60

// BenchmarkPlan does, one after the other and without Terraform, what a plan of many mesh tasks asks of the provider: for new ones
// validate and plan, for existing ones upgrade, read, validate and plan. How much processor time each takes is the provider's share.
func BenchmarkPlan(b *testing.B) {
	c, p := startMoto(b), speak(b)
	around := c.surroundings(b, "estate")
	configure := func() {
		p.configure(b, fields{"region": "us-east-1", "endpoints": fields{"ecs": c.url, "iam": c.url, "sts": c.url, "secretsmanager": c.url, "sqs": c.url, "events": c.url}})
	}
	schema := p.block(meshTaskType)
	var tasks []*estateMember
	for i := range estateSize {
		tasks = append(tasks, newEstateMember(b, schema, object(b, schema, estateTask(around, i))))
	}
	run := func(name string, do func(t *estateMember) ([]*tfprotov6.Diagnostic, error)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			sum := 0.0
			for i := 0; b.Loop(); i++ {
				if i%estateSize == 0 {
					configure()
				}
				began := processorTime(b)
				if found, err := do(tasks[i%estateSize]); err != nil || len(found) > 0 {
					b.Fatal(err, found)
				}
				sum += processorTime(b) - began
			}
			b.ReportMetric(sum/float64(b.N), "processor-ms/op")
		})
	}
	validate := func(t *estateMember) ([]*tfprotov6.Diagnostic, error) {
		got, err := p.ValidateResourceConfig(b.Context(), &tfprotov6.ValidateResourceConfigRequest{TypeName: meshTaskType, Config: t.config})
		return got.Diagnostics, err
	}
	plan := func(t *estateMember) ([]*tfprotov6.Diagnostic, error) {
		got, err := p.PlanResourceChange(b.Context(), t.request())
		return got.Diagnostics, err
	}
	run("validate", validate)
	run("plan new", plan)
	configure()
	for _, t := range tasks {
		t.create(b, p)
	}
	run("upgrade", func(t *estateMember) ([]*tfprotov6.Diagnostic, error) {
		got, err := p.UpgradeResourceState(b.Context(), &tfprotov6.UpgradeResourceStateRequest{TypeName: meshTaskType, Version: p.schemas.ResourceSchemas[meshTaskType].Version, RawState: &tfprotov6.RawState{JSON: t.stored}})
		return got.Diagnostics, err
	})
	run("read", func(t *estateMember) ([]*tfprotov6.Diagnostic, error) {
		got, err := p.ReadResource(b.Context(), &tfprotov6.ReadResourceRequest{TypeName: meshTaskType, CurrentState: t.state, Private: t.private})
		return got.Diagnostics, err
	})
	run("plan existing", plan)
}

const meshTaskType = "consulecs_mesh_task"

// estateTask is a mesh task as make bench plans many of.
func estateTask(at surroundings, number int) fields {
	name := fmt.Sprintf("estate-%03d", number)
	return meshTask(fields{
		"family":   name,
		"upstream": []any{fields{"destination_name": "estate-000", "local_bind_port": 1234}},
		"container": []any{fields{
			"name": "app", "image": "app:1", "environment": fields{"NAME": name, "LISTEN": "127.0.0.1:8080"},
			"secrets":      fields{"DB_PASSWORD": "arn:aws:secretsmanager:us-east-1:123456789012:secret:db:password::"},
			"port_mapping": []any{fields{"container_port": 8080}}, "health_check": fields{"command": []any{"CMD-SHELL", "wget -q -O /dev/null http://localhost:8080/health"}},
			"log_configuration": fields{"log_driver": "awslogs", "options": fields{"awslogs-group": "/app", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "app"}},
		}},
		"iam": fields{"task_role": fields{"policy_arns": []any{at.policy}}, "execution_role": fields{"policy_arns": []any{at.policy}}},
		"ecs_service": fields{
			"cluster": at.ecsCluster, "desired_count": 0, "launch_type": "EC2", "subnets": []any{at.subnet}, "security_groups": []any{at.group}, "wait_for_steady_state": false,
		},
	})
}

// estateMember is a mesh task between Terraform and the provider.
type estateMember struct {
	written         tftypes.Value
	config, state   *tfprotov6.DynamicValue
	stored, private []byte
	proposed        *tfprotov6.DynamicValue
}

func newEstateMember(b *testing.B, schema *tfprotov6.SchemaBlock, written tftypes.Value) *estateMember {
	return &estateMember{
		written: written, config: dynamic(b, written), state: dynamic(b, tftypes.NewValue(written.Type(), nil)),
		proposed: dynamic(b, proposed(b, schema, written)),
	}
}

func (t *estateMember) request() *tfprotov6.PlanResourceChangeRequest {
	return &tfprotov6.PlanResourceChangeRequest{TypeName: meshTaskType, Config: t.config, PriorState: t.state, ProposedNewState: t.proposed, PriorPrivate: t.private}
}

// create has the provider make the task: from then on there is a state, which a plan without changes proposes anew.
func (t *estateMember) create(b *testing.B, p protocol) {
	b.Helper()
	plan, err := p.PlanResourceChange(b.Context(), t.request())
	if err != nil || len(plan.Diagnostics) > 0 {
		b.Fatal(err, plan.Diagnostics)
	}
	made, err := p.ApplyResourceChange(b.Context(), &tfprotov6.ApplyResourceChangeRequest{
		TypeName: meshTaskType, Config: t.config, PriorState: t.state, PlannedState: plan.PlannedState, PlannedPrivate: plan.PlannedPrivate,
	})
	if err != nil || len(made.Diagnostics) > 0 {
		b.Fatal(err, made.Diagnostics)
	}
	t.state, t.proposed, t.private = made.NewState, made.NewState, made.Private
	if t.stored, err = asJSON(made.NewState, t.written.Type()); err != nil {
		b.Fatal(err)
	}
}

// asJSON is a value as Terraform keeps it in a state.
func asJSON(d *tfprotov6.DynamicValue, typ tftypes.Type) ([]byte, error) {
	v, err := d.Unmarshal(typ)
	if err != nil {
		return nil, err
	}
	plain, err := plainly(v)
	if err != nil {
		return nil, err
	}
	return json.Marshal(plain)
}

// processorTime is what the process has used so far, in milliseconds: on a busy machine, the clock says little.
func processorTime(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
}

// plainly is a value as encoding/json writes it.
func plainly(v tftypes.Value) (any, error) {
	if v.IsNull() {
		return nil, nil
	}
	switch typ := v.Type(); {
	case typ.Is(tftypes.Object{}) || typ.Is(tftypes.Map{}):
		var below map[string]tftypes.Value
		err := v.As(&below)
		all := map[string]any{}
		for name := range below {
			var more error
			all[name], more = plainly(below[name])
			err = errors.Join(err, more)
		}
		return all, err
	case typ.Is(tftypes.List{}) || typ.Is(tftypes.Set{}):
		var below []tftypes.Value
		err := v.As(&below)
		all := make([]any, len(below))
		for i := range below {
			var more error
			all[i], more = plainly(below[i])
			err = errors.Join(err, more)
		}
		return all, err
	case typ.Is(tftypes.Number):
		var n big.Float
		err := v.As(&n)
		return json.Number(n.Text('g', -1)), err
	case typ.Is(tftypes.Bool):
		var yes bool
		err := v.As(&yes)
		return yes, err
	default:
		var text string
		err := v.As(&text)
		return text, err
	}
}
