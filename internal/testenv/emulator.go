package testenv

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// AWS is an emulator of AWS on loopback.
type AWS struct {
	*daemon
	URL string
}

// PID is that of its process.
func (a *AWS) PID() int { return a.cmd.Process.Pid }

// Limits of the emulators' start on two busy cores.
const (
	motoStartLimit       = 60 * time.Second
	localStackStartLimit = 120 * time.Second
)

// StartMoto starts moto: everything of AWS that we use, in memory.
func StartMoto(ctx context.Context, env ...string) (*AWS, error) {
	tools, err := toolcache.Find()
	if err != nil {
		return nil, err
	}
	return startEmulator(ctx, "moto", "/moto-api/", motoStartLimit, func(port int, dir string) (*exec.Cmd, error) {
		cmd := exec.Command(tools.MotoServer, "-H", "127.0.0.1", "-p", strconv.Itoa(port))
		cmd.Env = append(append(os.Environ(), "PYTHONPATH="+dir), env...)
		return cmd, os.WriteFile(filepath.Join(dir, "sitecustomize.py"), []byte(walkedAsTheyWere), 0o600)
	})
}

// walkedAsTheyWere is run by Python before moto. moto walks over all roles, for instance, while other calls add some, which Python does
// not allow: it answers 500. The more there are, the longer a walk takes, until no call that lists them gets through any more.
const walkedAsTheyWere = `
from moto.core.base_backend import BaseBackend

class Kept(dict):
    """What a backend keeps. A walk shows it as it was when the walk began."""
    def __iter__(self): return iter(list(super().keys()))
    def keys(self): return list(super().keys())
    def values(self): return list(super().values())
    def items(self): return list(super().items())

def keep(backend, name, value):
    object.__setattr__(backend, name, Kept(value) if type(value) is dict else value)

BaseBackend.__setattr__ = keep
`

// StartLocalStack starts LocalStack's community edition in host mode, without ECS.
func StartLocalStack(ctx context.Context) (*AWS, error) {
	tools, err := toolcache.Find()
	if err != nil {
		return nil, err
	}
	return startEmulator(ctx, "LocalStack", "/_localstack/health", localStackStartLimit, func(port int, dir string) (*exec.Cmd, error) {
		cmd := exec.Command(tools.LocalStackPython, "-m", "localstack.runtime.main")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(),
			fmt.Sprintf("GATEWAY_LISTEN=127.0.0.1:%d", port), "DISABLE_EVENTS=1", "SKIP_SSL_CERT_DOWNLOAD=1", "DNS_ADDRESS=0",
			"FILESYSTEM_ROOT="+filepath.Join(dir, "fs"))
		return cmd, nil
	})
}

func startEmulator(ctx context.Context, name, health string, limit time.Duration, command func(port int, dir string) (*exec.Cmd, error)) (*AWS, error) {
	dir, err := os.MkdirTemp("", "emulator-")
	if err != nil {
		return nil, err
	}
	ports, err := freePorts("127.0.0.1", 1)
	if err != nil {
		return nil, err
	}
	cmd, err := command(ports[0], dir)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	url := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	d, err := startDaemon(ctx, name, dir, cmd, limit, func(ctx context.Context) error { return answersOK(ctx, url+health) })
	if err != nil {
		return nil, err
	}
	return &AWS{daemon: d, URL: url}, nil
}

// answersOK is nil once a GET of url answers 200.
func answersOK(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return nil
}
