package doctor

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentargs"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// looks are checks with given outcomes.
func looks(outcome Finding) func(*facts, context.Context) Finding {
	return func(*facts, context.Context) Finding { return outcome }
}

// mixed is a run in which a check of each kind comes out in its way.
func mixed() []check {
	return []check{
		{name: "config", look: looks(ok("service web, port %d", 8080))},
		{name: "metadata", look: looks(fail("ECS_CONTAINER_METADATA_URI_V4 is not set", "run the doctor in a container of the task"))},
		{name: "task-tags", needs: []string{"config", "metadata"}, look: looks(ok("never seen"))},
		{name: "aws-credentials", look: looks(notAsked("nobody logs in"))},
		{name: "login", needs: []string{"aws-credentials"}, after: []string{"metadata"}, look: looks(ok("Consul takes <calls> & all"))},
		{name: "registration", needs: []string{"task-tags", "login"}, look: looks(ok("never seen"))},
		{name: "grpc-tls", look: looks(failed(errors.Join(errors.New("10.0.0.1: refused"), errors.New("10.0.0.2: refused\nhint: see consulServers.grpc.port")), "otherwise"))},
		{name: "app-bypass", needs: []string{"config"}, look: looks(warn("everybody can call it, at 0.0.0.0:8080", "let the application listen on 127.0.0.1"))},
	}
}

func TestTheReportReadsAsPublished(t *testing.T) {
	t.Parallel()
	found := examine(t.Context(), mixed(), &facts{})
	for name, write := range map[string]func(io.Writer) error{"mixed.golden.txt": found.writeText, "mixed.golden.json": found.writeJSON} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(golden, b.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), b.String()); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestSlowChecksHinderOnlyThoseThatNeedThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := func(_ *facts, ctx context.Context) Finding {
			<-ctx.Done()
			return failed(context.Cause(ctx), "")
		}
		began := time.Now()
		found := examine(t.Context(), []check{
			{name: "slow", look: slow},
			{name: "as slow", look: slow},
			{name: "needs it", needs: []string{"slow"}, look: looks(ok(""))},
			{name: "waits for it", after: []string{"slow"}, look: looks(ok(""))},
			{name: "quick", look: looks(ok(""))},
		}, &facts{})
		if took := time.Since(began); took != checkTimeout {
			t.Errorf("it took %s", took)
		}
		if got := words(found); !slices.Equal(got, []string{"fail no answer within 10s", "fail no answer within 10s", "skip needs slow", "ok ", "ok "}) {
			t.Errorf("%q", got)
		}
	})
}

func TestAllChecksTogetherAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		slow := func(_ *facts, ctx context.Context) Finding {
			<-ctx.Done()
			return failed(context.Cause(ctx), "")
		}
		found := examine(ctx, []check{
			{name: "first", look: slow}, {name: "second", after: []string{"first"}, look: slow}, {name: "third", after: []string{"second"}, look: slow},
		}, &facts{})
		if got := words(found); !slices.Equal(got, []string{"fail no answer within 10s", "fail context deadline exceeded", "fail not looked at within -timeout"}) {
			t.Errorf("%q", got)
		}
	})
}

func TestAStoppedDoctorSaysWhatItHasNotSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		found := examine(ctx, []check{
			{name: "seen", look: looks(ok("before"))},
			{name: "under way", look: func(_ *facts, ctx context.Context) Finding {
				time.Sleep(time.Second) // until the others are under way
				stop()
				return failed(ctx.Err(), "")
			}},
			{name: "well nonetheless", look: func(_ *facts, ctx context.Context) Finding {
				<-ctx.Done()
				return ok("the login")
			}},
			{name: "not seen", after: []string{"under way"}, look: looks(fail("never seen", ""))},
		}, &facts{})
		if got := words(found); !slices.Equal(got, []string{"ok before", "skip stopped while it was looked at", "ok the login", "skip stopped before it was looked at"}) {
			t.Errorf("%q", got)
		}
	})
}

func words(found report) []string {
	var all []string
	for _, f := range found {
		all = append(all, fmt.Sprint(f.Status, " ", f.Found))
	}
	return all
}

// A check reads facts only of checks that it waits for; here it shows that it waits for checks that there are, none for itself.
func TestTheChecksCanBeMade(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, list := range [][]check{checks(), fargateChecks()} {
		before := map[string]bool{}
		for _, c := range list {
			for _, name := range slices.Concat(c.needs, c.after) {
				if !before[name] {
					t.Errorf("%s waits for %s, which does not stand before it", c.name, name)
				}
			}
			if before[c.name] || len(c.name) > 18 {
				t.Errorf("the name %q is there twice, or too long for the report", c.name)
			}
			before[c.name], seen[c.name] = true, true
		}
	}
	manual, err := os.ReadFile("doctor.go")
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(manual), "\npackage doctor")
	for name := range seen {
		if !strings.Contains(text, name) {
			t.Errorf("the manual does not name %s", name)
		}
	}
}

func TestWrongUsageIsRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"now"}, {"-timeout", "0s"}, {"-timeout", "soon"}, {"-yaml"},
		{"-write"}, {"-definition"}, {"-image", "a"}, {"-fargate", "-write", "-definition"}, {"-fargate", "-definition"}, {"-fargate", "-definition", "-image", "a", "-region", "r", "-log-group", "g"},
	} {
		var stdout, stderr bytes.Buffer
		err := Run(t.Context(), func(string) string { return "" }, args, &stdout, &stderr)
		var coded interface{ ExitCode() int }
		if !errors.As(err, &coded) || coded.ExitCode() != agentargs.ExitUsage || stdout.Len() > 0 {
			t.Errorf("%q: %v, stdout %q", args, err, &stdout)
		}
	}
}

// The guide shows what the check of Fargate prints, and how its task is made.
func TestTheGuideShowsTheCheckOfFargate(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/templates/guides/names.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for line := range strings.Lines(string(page)) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == "ok" {
			shown = append(shown, fields[1])
		}
	}
	var made []string
	for _, c := range fargateChecks() {
		made = append(made, c.name)
	}
	if !slices.Equal(shown, made) || !strings.Contains(string(page), fmt.Sprintf("\n%d ok, 0 warned, 0 failed, 0 skipped\n", len(made))) {
		t.Errorf("the page shows the checks %v, want %v and their number", shown, made)
	}
	_, command, _ := strings.Cut(string(page), "doctor -fargate -definition")
	command, _, _ = strings.Cut(command, ">")
	var stdout, stderr bytes.Buffer
	args := append([]string{"-fargate", "-definition"}, strings.Fields(strings.NewReplacer("\\", "", `"`, "").Replace(command))...)
	if err := Run(t.Context(), func(string) string { return "" }, args, &stdout, &stderr); err != nil || !strings.Contains(stdout.String(), `"consulecs-fargate-check"`) {
		t.Errorf("%q: %v\n%s%s", args, err, &stdout, &stderr)
	}
}
