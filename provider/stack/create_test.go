package stack

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
)

func TestWhatAFailedCreateReports(t *testing.T) {
	t.Parallel()
	type model struct{}
	s := &Stack[model]{Kind: Kind[model]{TypeName: "consulecs_mesh_task", Title: "Mesh task"}}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	overdue, cancelOverdue := context.WithTimeout(t.Context(), -1)
	defer cancelOverdue()
	unsteady := deploy.Unsteady("web", errors.New("0 of 1 tasks run"))
	up := &deploy.Progress{Outcome: deploy.Outcome{ECSServiceARN: aws.String("arn:service")}}
	for name, c := range map[string]struct {
		ctx      context.Context
		err      error
		out      *deploy.Progress
		severity diag.Severity // invalid: nothing is reported
		want     []string
	}{
		"nothing is wrong":      {t.Context(), nil, up, diag.SeverityInvalid, nil},
		"nothing is left":       {t.Context(), errors.New("no such subnet"), &deploy.Progress{}, diag.SeverityError, []string{"Mesh task was not created", "no such subnet"}},
		"cancelled before":      {cancelled, context.Canceled, &deploy.Progress{}, diag.SeverityError, []string{"was not created"}},
		"the wait is cancelled": {cancelled, unsteady, up, diag.SeverityWarning, []string{"Everything was made", "0 of 1 tasks run"}},
		"the wait takes too long": {overdue, unsteady, up, diag.SeverityError,
			[]string{"0 of 1 tasks run", "ECS service arn:service stays up", "terraform untaint <address>", "begins with consulecs_mesh_task"}},
		"something else was cancelled": {cancelled, context.Canceled, up, diag.SeverityError, []string{"stays up", "terraform untaint <address>"}},
	} {
		var diags diag.Diagnostics
		s.reportCreate(c.ctx, c.err, c.out, &diags)
		if c.severity == diag.SeverityInvalid {
			if len(diags) > 0 {
				t.Errorf("%s: got %v", name, diags)
			}
			continue
		}
		if len(diags) != 1 || diags[0].Severity() != c.severity {
			t.Errorf("%s: got %v, want one %v", name, diags, c.severity)
			continue
		}
		for _, want := range c.want {
			if text := diags[0].Summary() + "\n" + diags[0].Detail(); !strings.Contains(text, want) {
				t.Errorf("%s: got\n%s\nwant %q", name, text, want)
			}
		}
	}
}
