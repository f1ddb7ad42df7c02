package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

// badAnswers are what the metadata endpoint may answer in a bad moment.
func badAnswers() map[string]func(http.ResponseWriter) {
	return map[string]func(http.ResponseWriter){
		"throttled": func(w http.ResponseWriter) { http.Error(w, "Rate exceeded", http.StatusTooManyRequests) },
		"truncated": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "4096")
			io.WriteString(w, `{"Cluster":"arn:aws:ecs:us-east-1:12`)
		},
		"cut off in the JSON": func(w http.ResponseWriter) { io.WriteString(w, `{"Cluster":"arn:aws:ecs:us-east-1:12`) },
		"a page":              func(w http.ResponseWriter) { io.WriteString(w, "<html>busy</html>") },
		"empty":               func(http.ResponseWriter) {},
		"slow":                func(http.ResponseWriter) { time.Sleep(2500 * time.Millisecond) }, // longer than the agents wait for one answer
	}
}

func TestBadMetadataAtTheStartAreOutlasted(t *testing.T) {
	t.Parallel()
	for name, answer := range badAnswers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlayer(t)
			p.setFault(func(w http.ResponseWriter, asked int) bool {
				if asked > 2 {
					return false
				}
				answer(w)
				return true
			})
			p.start(t, "mesh-init").exits(t, 0, 30*time.Second)
			if n := len(stage.Services(t, p.node)); n != 2 {
				t.Errorf("the catalog holds %d services, want 2", n)
			}
		})
	}
}

func TestMetadataThatAreGoneEndTheStartWithTheReason(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		want   string
	}{
		"gone":              {http.StatusNotFound, "task metadata endpoint is gone"},
		"throttled for all": {http.StatusTooManyRequests, "429 Too Many Requests"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlayer(t)
			p.setMetadata(tc.status)
			r := p.start(t, "mesh-init")
			r.exits(t, 1, 30*time.Second)
			if log := r.log.String(); !strings.Contains(log, tc.want) || !strings.Contains(log, "/v4/x/task") {
				t.Errorf("the log names neither %q nor the address:\n%s", tc.want, log)
			}
			p.leftNothing(t)
		})
	}
}

func TestBadMetadataInTheMiddleChangeNothing(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	r := p.begin(t)
	before := p.checkIndexes(t)
	bad := badAnswers()
	bad["gone"] = func(w http.ResponseWriter) { http.NotFound(w, nil) }
	for _, name := range []string{"throttled", "truncated", "slow", "gone"} {
		p.setFault(func(w http.ResponseWriter, _ int) bool { bad[name](w); return true })
		eventually.Nil(t, name+": has been answered", 20*time.Second, func() error {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.asked < 2 {
				return fmt.Errorf("asked %d times", p.asked)
			}
			return nil
		})
		if diff := cmp.Diff(before, p.checkIndexes(t)); diff != "" {
			t.Errorf("%s: checks were written:\n%s", name, diff)
		}
	}
	p.setFault(nil)
	p.set("RUNNING", "UNHEALTHY")
	p.checksAre(t, "critical", 20*time.Second)
	p.set("RUNNING", "HEALTHY")
	p.checksAre(t, "passing", 20*time.Second)
	p.end(t, r)
}

// smallVolume makes the player's shared volume one of its own that has room for size bytes.
func (p *player) smallVolume(t *testing.T, size int) {
	t.Helper()
	if err := syscall.Mount("tmpfs", p.dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(p.dir, 0); err != nil {
			t.Error(err)
		}
	})
}

// rooted reports whether the test may mount. Where this is not root, it runs the test once more as the root of namespaces of
// its own, and the caller has nothing left to do.
func rooted(t *testing.T) bool {
	t.Helper()
	if os.Getuid() == 0 {
		return true
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

func TestAFullVolumeEndsMeshInitAndHoldsNothingHalfWritten(t *testing.T) {
	t.Parallel()
	if !rooted(t) {
		return
	}
	for name, tc := range map[string]struct {
		shares bool
		want   string
	}{
		"no room for the CA":      {false, "write CA certificates: "},
		"no room for the program": {true, "put the agents' program into the shared volume: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlayer(t)
			p.cfg.ShareAgent = &tc.shares
			p.smallVolume(t, 64<<10)
			filler := filepath.Join(p.dir, "filler")
			if err := os.WriteFile(filler, make([]byte, 64<<10), 0o600); err != nil {
				t.Fatal(err)
			}
			r := p.start(t, "mesh-init")
			r.exits(t, 1, 20*time.Second)
			if log := r.log.String(); !strings.Contains(log, tc.want) || !strings.Contains(log, "no space left on device") || !strings.Contains(log, "hint=") {
				t.Errorf("the log lacks %q, the cause or the hint:\n%s", tc.want, log)
			}
			if got := filesIn(t, p.dir); !cmp.Equal(got, []string{"filler"}) {
				t.Errorf("the volume holds %v", got)
			}
			p.leftNothing(t)

			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mount("", p.dir, "tmpfs", syscall.MS_REMOUNT, "size=1g"); err != nil {
				t.Fatal(err)
			}
			p.start(t, "mesh-init").exits(t, 0, 20*time.Second)
			if _, err := dataplanefile.Read(p.file(dataplanefile.Name)); err != nil {
				t.Error(err)
			}
		})
	}
}

func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// The runs are within this process, as a thousand processes would take too long, and some at a time. Processes are run
// again, and log in, in TestMeshInitRegistersWritesAndLogsOut.
func TestAThousandRunsOfMeshInitLeaveOneRegistration(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	token, _, err := stage.Consul.API.ACL().TokenCreate(&api.ACLToken{ServiceIdentities: []*api.ACLServiceIdentity{{ServiceName: "web"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.cfg.ShareAgent = new(false) // a thousand copies of the program would be most of the work
	env := p.environment(t)
	env[mesh.VariableToken] = token.SecretID
	const runs, together = 1000, 4
	var workers sync.WaitGroup
	for range together {
		workers.Go(func() {
			for range runs / together {
				var log strings.Builder
				if code := dispatch(t.Context(), func(name string) string { return env[name] }, []string{"mesh-init"}, io.Discard, &log); code != 0 {
					t.Errorf("exit code %d:\n%s", code, &log)
					return
				}
			}
		})
	}
	workers.Wait()
	services := stage.Services(t, p.node)
	for _, id := range []string{"web-" + p.id, mesh.ProxyID("web-" + p.id)} {
		if s := services[id]; s == nil || s.CreateIndex != s.ModifyIndex {
			t.Errorf("%s is in the catalog as %+v, want it as the first run has made it", id, s)
		}
	}
	if len(services) != 2 {
		t.Errorf("the catalog holds %v, want the service and its proxy", services)
	}
	p.checksAre(t, "critical", 10*time.Second)
	if left := stage.LoginTokens(t, p.id); len(left) != 0 {
		t.Errorf("the tokens %v are left", left)
	}
	if _, _, err := stage.Consul.API.ACL().TokenRead(token.AccessorID, nil); err != nil {
		t.Errorf("the token that was given is gone: %v", err)
	}
	if got := filesIn(t, p.dir); !cmp.Equal(got, []string{dataplanefile.Name, "consul-grpc-ca-cert.pem"}) {
		t.Errorf("the volume holds %v", got)
	}
}

// ECS restarts a container that dies, but not in a task that it is stopping; whoever does finds the containers about to stop.
func TestAHealthSyncThatIsRestartedWhileTheTaskStopsKeepsItCritical(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	first := p.begin(t)
	first.signal(t, syscall.SIGTERM)
	p.checksAre(t, "critical", 10*time.Second)
	first.signal(t, syscall.SIGKILL)
	<-first.done
	p.mu.Lock()
	for i := range p.containers {
		p.containers[i].DesiredStatus = "STOPPED"
	}
	p.mu.Unlock()
	second := p.start(t, "health-sync")
	second.says(t, "mirroring the task's health")
	watchUntil := time.Now().Add(2 * time.Second)
	eventually.Nil(t, "some time passes", 10*time.Second, func() error {
		for id, c := range stage.Checks(t, p.node) {
			if c.Status != "critical" {
				t.Fatalf("%s is %s: %s", id, c.Status, c.Output)
			}
		}
		if time.Now().Before(watchUntil) {
			return errors.New("not yet")
		}
		return nil
	})
	second.signal(t, syscall.SIGTERM)
	p.set("STOPPED", "HEALTHY")
	second.exits(t, 0, 10*time.Second)
	if left := stage.Services(t, p.node); len(left) != 0 {
		t.Errorf("the services %v are left", left)
	}
}
