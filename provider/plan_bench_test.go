package provider_test

import (
	"syscall"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// BenchmarkPlan plans a new mesh task, without Terraform and without a call of AWS but the first: what of a plan is the provider's.
func BenchmarkPlan(b *testing.B) {
	url := moto.URL(b)
	p := speak(b)
	p.configure(b, fields{"region": "us-east-1", "endpoints": fields{"ecs": url, "iam": url, "sts": url, "secretsmanager": url, "sqs": url, "events": url}})
	for name, config := range map[string]fields{
		"short": meshTask(nil),
		"full":  fullMeshTask("full", surroundings{"arn:aws:ecs:us-east-1:123456789012:cluster/x", "arn:aws:iam::123456789012:policy/x", "subnet-1", "sg-1"}),
	} {
		schema := p.block("consulecs_mesh_task")
		written := object(b, schema, config)
		request := &tfprotov6.PlanResourceChangeRequest{
			TypeName: "consulecs_mesh_task", Config: dynamic(b, written),
			PriorState: dynamic(b, tftypes.NewValue(written.Type(), nil)), ProposedNewState: dynamic(b, proposed(b, schema, written)),
		}
		b.Run("plan "+name, func(b *testing.B) {
			b.ReportAllocs()
			defer reportProcessorTime(b)()
			for b.Loop() {
				if got, err := p.PlanResourceChange(b.Context(), request); err != nil || len(got.Diagnostics) > 0 {
					b.Fatal(err, got.Diagnostics)
				}
			}
		})
		b.Run("validate "+name, func(b *testing.B) {
			b.ReportAllocs()
			defer reportProcessorTime(b)()
			for b.Loop() {
				got, err := p.ValidateResourceConfig(b.Context(), &tfprotov6.ValidateResourceConfigRequest{TypeName: "consulecs_mesh_task", Config: request.Config})
				if err != nil || len(got.Diagnostics) > 0 {
					b.Fatal(err, got.Diagnostics)
				}
			}
		})
	}
}

// reportProcessorTime reports, at its end, what the process has used since then: on a busy machine, the clock says little.
func reportProcessorTime(b *testing.B) (end func()) {
	used := func() float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
	}
	before := used()
	return func() { b.ReportMetric((used()-before)/float64(b.N), "processor-ms/op") }
}
