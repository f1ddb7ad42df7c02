package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/atomicfile"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/world"
)

// The world outlives the demo when it is to be looked at, so a process of its own holds it: Consul, the emulator and
// localecs are its children and end with it.

// tokenVariable hands the holder the bootstrap token of its Consul. It is in neither argv nor a file.
const tokenVariable = "CONSULECS_DEMO_TOKEN"

// startLimit bounds how long the world may take to come up; stopLimit how long to go down before it is killed.
const (
	startLimit = 90 * time.Second
	stopLimit  = 60 * time.Second
)

// held is what the holder writes when its world stands: where things are, nothing secret.
type held struct {
	Address world.Address
	PID     int
	Started string // of the process, so that a reused PID is not taken for it
}

func heldFile(dir string) string { return filepath.Join(dir, "world.json") }
func caFile(dir string) string   { return filepath.Join(dir, "consul-ca.pem") }
func logFile(dir string) string  { return filepath.Join(dir, "world.log") }

// Hold brings the world of that name up in dir, says in dir/world.json where it is, and keeps it until ctx ends.
func Hold(ctx context.Context, name, dir string) error {
	log, err := os.OpenFile(logFile(dir), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	// Written first: whoever tidies up must find a holder that is still coming up.
	me := held{PID: os.Getpid(), Started: processStart(os.Getpid())}
	if err := me.write(dir); err != nil {
		return err
	}
	w, err := world.Start(ctx, world.Config{
		Name: name, Dir: dir, Emulator: world.Moto, BootstrapToken: os.Getenv(tokenVariable), Log: log,
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(caFile(dir), []byte(w.ConsulCAPEM), 0o644); err != nil {
		return errors.Join(err, w.Close())
	}
	me.Address = w.Address
	if err := me.write(dir); err != nil {
		return errors.Join(err, w.Close())
	}
	<-ctx.Done()
	return w.Close()
}

func (h held) write(dir string) error {
	raw, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(heldFile(dir), bytes.NewReader(raw), 0o600)
}

func readHeld(dir string) (held, error) {
	var h held
	raw, err := os.ReadFile(heldFile(dir))
	if err != nil {
		return h, err
	}
	return h, json.Unmarshal(raw, &h)
}

// startHolder starts the holder apart from this process group, so that a Ctrl-C here does not reach it, and waits until
// its world stands.
func startHolder(ctx context.Context, name, dir, token string) (held, error) {
	self, err := os.Executable()
	if err != nil {
		return held{}, err
	}
	out, err := os.OpenFile(logFile(dir), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return held{}, err
	}
	defer out.Close()
	cmd := exec.Command(self, "-hold", "-name", name, "-dir", dir)
	cmd.Env = append(os.Environ(), tokenVariable+"="+token)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return held{}, err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	var h held
	_, err = eventually.Seen(ctx, "the world comes up", startLimit, func() (missing string, err error) {
		if h, err = readHeld(dir); err == nil && h.Address.AWS == "" {
			missing = "it has no address"
		}
		select {
		case exit := <-exited:
			err = eventually.Never{Err: fmt.Errorf("it ended: %v", exit)}
		default:
		}
		return missing, err
	})
	if ctx.Err() != nil {
		// Ended here: it may not have said yet who it is, and then Down would not find it.
		_ = cmd.Process.Signal(syscall.SIGTERM) // an error: it has just ended
		select {
		case <-exited:
		case <-time.After(stopLimit):
			_ = cmd.Process.Kill()
		}
		return held{}, ctx.Err()
	}
	if err != nil {
		return held{}, fmt.Errorf("%w; its log ends:\n%s", err, tail(logFile(dir), 20))
	}
	return h, nil
}

// Down ends the world of that name and dir, whatever state it is in, and removes everything it made. Nothing there is no
// error.
func Down(ctx context.Context, name, dir string) error {
	h, err := readHeld(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		h.end()
	}
	// By label, since a world that was killed could not tidy up.
	if err := world.Down(ctx, name); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// end terminates the holder and waits until it is gone; one that does not go is killed.
func (h held) end() {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		for limit := time.Now().Add(stopLimit); time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
			if h.PID <= 0 || processStart(h.PID) != h.Started {
				return
			}
			// Repeated: the holder may not have installed its handler yet, and SIGTERM twice is harmless to it.
			if err := syscall.Kill(h.PID, signal); err != nil {
				return
			}
		}
	}
}

// processStart is the start time of a process in clock ticks since boot (proc(5), field 22 of stat); "" when it is gone
// or only its exit status is left.
func processStart(pid int) string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, ok := strings.Cut(string(raw), ") ") // the name before it may hold blanks
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 || fields[0] == "Z" {
		return ""
	}
	return fields[19]
}

// tail returns the last n lines of a file, or why it cannot be read.
func tail(name string, n int) string {
	raw, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
