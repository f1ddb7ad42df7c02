package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

func TestATaskWithoutProxySettingsIsRegistered(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	p.cfg.Proxy = nil
	p.start(t, "mesh-init").exits(t, 0, 20*time.Second)
	proxy := stage.Services(t, p.node)[mesh.ProxyID("web-"+p.id)]
	if proxy == nil || proxy.Port != mesh.PortPublicListener || len(proxy.Proxy.Upstreams) != 0 {
		t.Errorf("the proxy is in the catalog as %+v", proxy)
	}
}

func TestTheDataplaneHasItsChecksOnceThoughItIsListed(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	p.cfg.HealthSyncContainers = []string{"app", mesh.ContainerDataplane}
	p.start(t, "mesh-init").exits(t, 0, 20*time.Second)
	p.checksAre(t, "critical", 10*time.Second)
}

func TestADiscoveryCommandThatFindsNoServerIsToldAndTriedAgain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ hosts, want string }{
		"none at all":       {"exec=", "exec="},
		"a missing program": {"exec=/nowhere/discover", "/nowhere/discover"},
		"one that fails":    {"exec=/bin/false", "exit code 1"},
		"no addresses":      {"exec=/bin/true", "exec=/bin/true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlayer(t)
			p.cfg.ConsulServers.Hosts = tc.hosts
			r := p.start(t, "mesh-init")
			eventually.True(t, "it tells of it, or has ended", eventually.Soon, func() bool {
				select {
				case <-r.done:
					return true
				default:
					return strings.Contains(r.log.String(), tc.want)
				}
			})
			_ = r.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
			r.exits(t, 1, 20*time.Second)
			if log := r.log.String(); !strings.Contains(log, tc.want) || strings.Contains(log, "panic") {
				t.Errorf("the log does not say %q, or more than that:\n%s", tc.want, log)
			}
		})
	}
}

// ordinary lets the player's agents run as a user who is not root.
func (p *player) ordinary(t *testing.T) {
	t.Helper()
	const uid = 5997
	if os.Getuid() != 0 {
		return // so they do already
	}
	if err := os.Chmod(filepath.Dir(p.dir), 0o755); err != nil { // the folder of all that is this test's
		t.Fatal(err)
	}
	program, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	p.program = filepath.Join(t.TempDir(), "consulecs-agent") // where that user can find it
	copied, err := os.OpenFile(p.program, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(copied, program); err != nil {
		t.Fatal(err)
	}
	if err := copied.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(p.dir, uid, uid); err != nil {
		t.Fatal(err)
	}
	p.uid = uid
}

func TestMeshInitRunsAgainAsAUserWhoIsNotRoot(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	p.ordinary(t)
	for range 3 {
		p.start(t, "mesh-init").exits(t, 0, 20*time.Second)
	}
	if got := filesIn(t, p.dir); len(got) != 3 {
		t.Errorf("the volume holds %v, want the file, the CA and the program", got)
	}
}

func TestAVolumeThatIsNotOursToWriteIsNamed(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	p.ordinary(t)
	if err := os.Chmod(p.dir, 0o555); err != nil {
		t.Fatal(err)
	}
	r := p.start(t, "mesh-init")
	r.exits(t, 1, 20*time.Second)
	if log := r.log.String(); !strings.Contains(log, "permission denied") || !strings.Contains(log, `hint="this container's user must be able to write to the shared volume`) {
		t.Errorf("the log lacks the cause or the hint:\n%s", log)
	}
	p.leftNothing(t)
}

func TestARegistrationThatConsulRefusesEndsMeshInitAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	p.cfg.Proxy.Upstreams[0].DestinationPeer, p.cfg.Proxy.Upstreams[0].Datacenter = "east", "dc2"
	r := p.start(t, "mesh-init")
	r.exits(t, 1, 20*time.Second)
	log := r.log.String()
	if strings.Contains(log, "will retry") || !strings.Contains(log, "proxy.upstreams in the configuration") || !strings.Contains(log, "destination peer and datacenter") {
		t.Errorf("the log tells of another try, or does not say what is wrong and where:\n%s", log)
	}
	p.leftNothing(t)
}

func TestAProxyVariableIsToldInTheLog(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	p.env["HTTPS_PROXY"] = "http://user:hidden@proxy.internal:3128"
	r := p.start(t, "mesh-init")
	r.exits(t, 0, 30*time.Second) // nothing here is beyond loopback, which no proxy is asked for
	if log := r.log.String(); !strings.Contains(log, "proxy=proxy.internal:3128") || strings.Contains(log, "hidden") {
		t.Errorf("the log does not name the proxy, or tells its password:\n%s", log)
	}
}
