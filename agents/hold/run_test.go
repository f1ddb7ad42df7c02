package hold_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/agents/hold"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentargs"
	"github.com/consulecs/terraform-provider-consulecs/internal/process"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

const asWrapper = "HOLD_TEST_WRAPPER" // set: the test program is the wrapper

// TestMain lets the test program play the wrapper: it has to be a process of its own, as it takes the signals of one.
func TestMain(m *testing.M) {
	if os.Getenv(asWrapper) == "" {
		os.Exit(m.Run())
	}
	err := hold.Run(context.Background(), os.Getenv, os.Args[1:], os.Stdout, os.Stderr)
	var ended *process.ExitError
	if err != nil && !errors.Is(err, flag.ErrHelp) && !errors.As(err, &ended) {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(agentargs.ExitCode(err))
}

// metadata serves those of a task whose application has the status app, "" for metadata that are gone.
func metadata(t *testing.T, app *atomic.Value) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		status := app.Load().(string)
		if status == "" {
			http.NotFound(w, nil)
			return
		}
		fmt.Fprintf(w, `{"Cluster":"mesh","TaskARN":"arn:aws:ecs:us-east-1:123456789012:task/mesh/t1","Containers":[
			{"Name":"consul-dataplane","Type":"NORMAL","DesiredStatus":"RUNNING","KnownStatus":"RUNNING"},
			{"Name":"consul-ecs-health-sync","Type":"NORMAL","DesiredStatus":"RUNNING","KnownStatus":"RUNNING"},
			{"Name":"~internal~pause","Type":"CNI_PAUSE","DesiredStatus":"RUNNING","KnownStatus":"RUNNING"},
			{"Name":"app","Type":"NORMAL","DesiredStatus":"STOPPED","KnownStatus":%q}]}`, status)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func start(t *testing.T, uri string, args ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asWrapper+"=1", taskmeta.Variable+"="+uri)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	limit := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		limit.Stop()
		_ = cmd.Process.Kill() // it has ended, unless the test failed
		_ = cmd.Wait()
		read.Close()
	})
	return cmd, bufio.NewScanner(read)
}

func until(t *testing.T, lines *bufio.Scanner, want string) {
	t.Helper()
	for lines.Scan() {
		if strings.Contains(lines.Text(), want) {
			return
		}
	}
	t.Fatalf("never said %q: %v", want, lines.Err())
}

const loop = `trap 'echo told; exit 55' TERM; trap 'echo int; exit 42' INT; echo up; while :; do sleep 0.01; done`

func TestSIGTERMWaitsForTheApplication(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]string{"stopped": "STOPPED", "metadata gone": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var app atomic.Value
			app.Store("RUNNING")
			cmd, lines := start(t, metadata(t, &app), "sh", "-c", loop)
			until(t, lines, "up")
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			until(t, lines, "told to stop")
			ended := make(chan struct{})
			go func() { _ = cmd.Wait(); close(ended) }()
			select {
			case <-ended:
				t.Fatal("the command has ended before the application")
			case <-time.After(700 * time.Millisecond): // three polls
			}
			app.Store(next)
			select {
			case <-ended:
			case <-time.After(eventually.Soon):
				t.Fatal("the command runs on after the application")
			}
			if code := cmd.ProcessState.ExitCode(); code != 55 {
				t.Errorf("exit code %d, want the command's, 55", code)
			}
		})
	}
}

// A wrapper that went on to look whether the application has stopped, or whose channel is closed, would take all the time
// of a processor.
func TestItSleepsWhileTheCommandTakesItsTime(t *testing.T) {
	t.Parallel()
	var app atomic.Value
	app.Store("STOPPED")
	cmd, lines := start(t, metadata(t, &app), "sh", "-c", `trap 'echo told; sleep 3; exit 55' TERM; echo up; sleep 60 & wait`)
	until(t, lines, "up")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	until(t, lines, "told")
	_ = cmd.Wait()
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if t.Logf("%s of CPU in more than 3 s", used); used > time.Second {
		t.Errorf("%s of CPU, want next to none", used)
	}
	if code := cmd.ProcessState.ExitCode(); code != 55 {
		t.Errorf("exit code %d, want the command's, 55", code)
	}
}

func TestOtherSignalsAndASecondSIGTERMPassAtOnce(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		sig  syscall.Signal
		want int
	}{"SIGTERM": {syscall.SIGTERM, 55}, "SIGINT": {syscall.SIGINT, 42}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var app atomic.Value
			app.Store("RUNNING")
			cmd, lines := start(t, metadata(t, &app), "--", "sh", "-c", loop)
			until(t, lines, "up")
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			until(t, lines, "told to stop")
			if err := cmd.Process.Signal(tc.sig); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != tc.want {
				t.Errorf("exit code %d, want %d", code, tc.want)
			}
		})
	}
}

func TestWhatCannotRunIsNamed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		uri  string
		args []string
		code int
		want string
	}{
		"no command":      {"http://127.0.0.1:1", nil, 2, "no command to run"},
		"no metadata":     {"", []string{"true"}, 1, taskmeta.Variable + " is not set"},
		"missing program": {"http://127.0.0.1:1", []string{"/nowhere/envoy"}, 1, "start envoy: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd, lines := start(t, tc.uri, tc.args...)
			until(t, lines, tc.want)
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
		})
	}
}

// TestAWaitingWrapperRests measures the wrapper's own processor time, while the application runs and while the command drains.
func TestAWaitingWrapperRests(t *testing.T) {
	t.Parallel()
	const drain = 3 * time.Second
	var app atomic.Value
	app.Store("STOPPED")
	cmd, lines := start(t, metadata(t, &app), "sh", "-c", `trap 'echo draining; sleep 3; exit 0' TERM; echo up; while :; do sleep 0.01; done`)
	until(t, lines, "up")
	before := ticks(t, cmd.Process.Pid)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	until(t, lines, "draining")
	time.Sleep(drain * 2 / 3) // the time over which is measured
	used := time.Duration(ticks(t, cmd.Process.Pid)-before) * time.Second / 100
	t.Logf("%s of processor time while its command drained", used)
	if used > drain/6 {
		t.Errorf("it used %s of processor time in %s, want it to rest", used, drain*2/3)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// ticks are the hundredths of a second that a process has run, without its children.
func ticks(t *testing.T, pid int) int {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // what follows the name: the fields from the third one on
	var user, system int
	if fields := strings.Fields(rest); len(fields) < 13 {
		t.Fatalf("/proc/%d/stat: %s", pid, stat)
	} else if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		t.Fatal(err)
	}
	return user + system
}
