package toolcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

// systemSocket is where a machine's own Docker daemon listens.
const systemSocket = "/var/run/docker.sock"

// privateSocket is where the set-up's own daemon listens. It runs beside any other and shares nothing with it.
func (c Cache) privateSocket() string { return filepath.Join(c.Root, "docker", "docker.sock") }

// findDaemon returns the first socket behind which a usable Docker daemon answers: the one DOCKER_HOST names, the
// machine's own, the private one. A daemon on another machine is of no use: the tests serve its bridges from here.
func findDaemon(dockerHost, private string) (socket string, ok bool) {
	for _, s := range candidates(dockerHost, private) {
		if ping(s) == nil {
			return s, true
		}
	}
	return "", false
}

func candidates(dockerHost, private string) []string {
	var sockets []string
	if s, ok := strings.CutPrefix(dockerHost, "unix://"); ok {
		sockets = append(sockets, s)
	}
	return append(sockets, systemSocket, private)
}

// ping asks a daemon whether it is alive.
func ping(socket string) error {
	if !exists(socket) {
		return fmt.Errorf("no socket %s", socket)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/_ping", nil)
	if err != nil {
		return err
	}
	client := socketClient(socket)
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET /_ping at %s: %s", socket, resp.Status)
	}
	return nil
}

// denied reports whether a daemon's socket is there but closed to this user.
func denied(socket string) bool {
	conn, err := net.DialTimeout("unix", socket, time.Second)
	if err == nil {
		conn.Close()
	}
	return errors.Is(err, os.ErrPermission)
}

func socketClient(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
}

// startDaemon starts the private Docker daemon. It outlives the set-up and is found again by its socket.
func (c Cache) startDaemon(ctx context.Context, dockerd string) error {
	home := filepath.Dir(c.privateSocket())
	// A socket's path holds 107 bytes, and containerd puts its own 25 below the exec root.
	if n := len(home) + len("/exec/containerd/containerd-debug.sock"); n > 107 {
		return fmt.Errorf("start a Docker daemon: the path %s is too long for its sockets\nhint: set XDG_CACHE_HOME to a shorter folder", home)
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	pidFile, logName := filepath.Join(home, "docker.pid"), filepath.Join(home, "dockerd.log")
	if err := dropStalePid(pidFile, "dockerd"); errors.Is(err, errRuns) { // a run that was interrupted has just started it
		if late := awaitDaemon(ctx, c.privateSocket(), logName, nil); late != nil {
			return fmt.Errorf("%w, but does not answer: %w\nhint: end it, then run make setup again", err, late)
		}
		return nil
	} else if err != nil {
		return err
	}
	if err := endOrphan(filepath.Join(home, "exec", "containerd", "containerd.pid"), "containerd"); err != nil {
		return err
	}
	log, err := os.Create(logName)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(dockerd,
		"--host", "unix://"+c.privateSocket(),
		"--data-root", filepath.Join(home, "data"),
		"--exec-root", filepath.Join(home, "exec"),
		"--pidfile", pidFile,
		"--bridge", "none")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C at the set-up must not reach it
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", dockerd, err)
	}
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	return awaitDaemon(ctx, c.privateSocket(), logName, gone)
}

// awaitDaemon waits until the daemon answers. A loaded machine may need long; a dead daemon is told at once.
func awaitDaemon(ctx context.Context, socket, logName string, gone <-chan error) error {
	_, err := eventually.Seen(ctx, "start a Docker daemon", time.Minute, func() (string, error) {
		err := ping(socket)
		select {
		case exit := <-gone:
			err = eventually.Never{Err: fmt.Errorf("it ended (%v)", exit)}
		default:
		}
		return "", err
	})
	if err != nil {
		return fmt.Errorf("%w:\n%s", err, tail(logName, 2000))
	}
	return nil
}

// errRuns says that the program of a pid file is alive.
var errRuns = errors.New("runs")

// orphanLimit is how long a killed process may take to be gone.
const orphanLimit = 10 * time.Second

// dropStalePid removes the pid file that a killed program left: dockerd refuses to start over its own, even where the
// number belongs to another process by now. Where the program runs the file stays, and the error is errRuns.
func dropStalePid(pidFile, program string) error {
	raw, err := os.ReadFile(pidFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(raw))); err == nil && runs(pid, program) {
		return fmt.Errorf("%s (pid %d) %w", program, pid, errRuns)
	}
	return os.Remove(pidFile)
}

// endOrphan ends the containerd that a dead dockerd left, which may be about to die with it: a new dockerd would take it over
// and wait for it in vain. Containers go on without it.
func endOrphan(pidFile, program string) error {
	_, err := eventually.Seen(context.Background(), "end "+program, orphanLimit, func() (string, error) {
		err := dropStalePid(pidFile, program)
		if err != nil && !errors.Is(err, errRuns) {
			return "", eventually.Never{Err: err}
		}
		// Without the file it is gone meanwhile; else the next look tells whether the signal worked.
		if raw, gone := os.ReadFile(pidFile); err != nil && gone == nil {
			if pid, err := strconv.Atoi(strings.TrimSpace(string(raw))); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		return "", err
	})
	if err != nil {
		return fmt.Errorf("%w\nhint: end it, then run make setup again", err)
	}
	return nil
}

// runs reports whether the process is alive and of that program. One that ended and was not reaped is not alive.
func runs(pid int, program string) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), " ("+program+") ") && !strings.Contains(string(stat), ") Z ")
}

// StopDaemon ends the private Docker daemon and its containers. Where none runs it does nothing.
func (c Cache) StopDaemon(ctx context.Context) error {
	raw, err := os.ReadFile(filepath.Join(c.Root, "docker", "docker.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || !runs(pid, "dockerd") {
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop dockerd (pid %d): %w", pid, err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for runs(pid, "dockerd") {
		select {
		case <-ctx.Done():
			return fmt.Errorf("stop dockerd (pid %d): %w", pid, ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// tail returns the last n bytes of a file, or why it cannot be read.
func tail(name string, n int64) string {
	f, err := os.Open(name)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > n {
		if _, err := f.Seek(-n, io.SeekEnd); err != nil {
			return err.Error()
		}
	}
	out, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(out))
}
