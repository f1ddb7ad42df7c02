package envoy

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/consulecs/terraform-provider-consulecs/internal/process"
)

// EnvPath names the environment variable that overrides where Envoy's program is.
const EnvPath = "CONSULECS_ENVOY"

// imagePath is where Envoy's official image, and so ours, has the program.
const imagePath = "/usr/local/bin/envoy"

// maxDefaultConcurrency bounds the worker threads where none are configured: each costs memory, and a sidecar seldom
// needs more.
const maxDefaultConcurrency = 2

// Settings say how Envoy runs.
type Settings struct {
	Path             string // of the program; "" means imagePath, else the one on PATH
	Concurrency      int    // worker threads; 0 means as many as the container has CPUs, at most 2
	DrainTimeSeconds int
	DrainStrategy    string    // immediate (default) or gradual
	LogLevel         string    // trace, debug, info, warn or error
	Stdout, Stderr   io.Writer // access logs go to stdout, Envoy's own log to stderr; see Log
}

// Start starts Envoy with the bootstrap JSON. Envoy dies with this process.
func Start(bootstrap []byte, s Settings) (*process.Child, error) {
	file, err := memoryFile(bootstrap)
	if err != nil {
		return nil, fmt.Errorf("hand the bootstrap to envoy: %w", err)
	}
	defer file.Close()
	if err := passFileLimit(); err != nil {
		return nil, fmt.Errorf("let envoy open as many files as this container may: %w", err)
	}
	child, err := process.Start(process.Command{
		Path: program(s.Path), Args: s.args(), Env: environment(os.Environ()),
		Stdout: s.Stdout, Stderr: s.Stderr, ExtraFiles: []*os.File{file},
	})
	if err != nil {
		return nil, fmt.Errorf("%w\nhint: the image has Envoy at %s; %s names another place", err, imagePath, EnvPath)
	}
	return child, nil
}

// ConnectionLimit is how many connections Envoy may let in, by the number of files that this container may open: a quarter of
// them is left for connections to the application and to other services, of which there are fewer, and for the rest.
func ConnectionLimit() (int64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("ask how many files may be open: %w", err)
	}
	files := int64(min(limit.Cur, 1<<30))
	return files - files/4, nil
}

// passFileLimit makes children of this process inherit its limit of open files, which the Go runtime has raised to what the
// container may have, rather than the lower one that it was started with.
func passFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// program is the configured one, else the image's, else the one on PATH.
func program(configured string) string {
	if configured != "" {
		return configured
	}
	if _, err := os.Stat(imagePath); err == nil {
		return imagePath
	}
	return "envoy"
}

func (s Settings) args() []string {
	args := []string{
		"--config-path", "/dev/fd/3", // the first of ExtraFiles; a path without suffix is read as JSON
		"--disable-hot-restart", // its shared memory would collide between the Envoys of one host
		"--concurrency", strconv.Itoa(cmp.Or(s.Concurrency, min(runtime.GOMAXPROCS(0), maxDefaultConcurrency))),
		"--drain-time-s", strconv.Itoa(s.DrainTimeSeconds),
		// immediate: every answer while draining asks its peer to go, not a growing share of them.
		"--drain-strategy", cmp.Or(s.DrainStrategy, "immediate"),
		"--log-level", strings.ToLower(s.LogLevel),
		"--log-format", logFormat,
	}
	if strings.EqualFold(s.LogLevel, "info") {
		// At info it lists its extensions at each start, in some seventy long lines.
		args = append(args, "--component-log-level", "main:warning")
	}
	return args
}

// environment keeps from Envoy what concerns the agent alone: among it may be a Consul token.
func environment(all []string) []string {
	var kept []string
	for _, kv := range all {
		if !strings.HasPrefix(kv, "CONSUL_") {
			kept = append(kept, kv)
		}
	}
	return kept
}

// memoryFile is a file that exists in memory only. It is sealed: nobody changes it any more.
func memoryFile(content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("envoy-bootstrap", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("create memory file: %w", err)
	}
	file := os.NewFile(uintptr(fd), "envoy-bootstrap")
	_, err = file.Write(content)
	if err == nil {
		_, err = unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write memory file: %w", err), file.Close())
	}
	return file, nil
}
