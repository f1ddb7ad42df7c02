package toolcache

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Host is what a set-up has to know of the machine before it decides anything.
type Host struct {
	Root          bool
	Apt           bool   // apt-get and dpkg are there
	AptLists      bool   // apt-get update has run once
	Python        string // path of python3, empty where there is none
	PythonVersion string // like 3.11
	PythonBase    string // the interpreter itself, behind links and shims: environments point at it
	PythonVenv    bool   // python3 -m venv can make an environment with pip
	DockerSocket  string // a daemon that answers, else empty
	DockerDenied  bool   // a daemon is there, but not for this user
	Dockerd       string // path of dockerd
	Iptables      bool   // dockerd needs it for its networks
	Compiler      bool   // a C compiler: the tests' race detector is linked with one
	GnuPG         bool   // a release is signed with it
	Curl          bool   // a guide's commands call tasks with it
}

// Todo says which parts are still to be brought, for needs.
type Todo struct {
	Python  bool // Envoy, moto or LocalStack
	Base    bool // the container base, BusyBox, or musl
	Release bool // all tests are to run: one makes a release, one runs the commands of a guide
}

// Missing is something a set-up may not install itself, with the command that does.
type Missing struct{ What, Command string }

// MissingError lists everything that only the user can bring.
type MissingError []Missing

func (e MissingError) Error() string {
	var b strings.Builder
	b.WriteString("this machine lacks:")
	for _, m := range e {
		fmt.Fprintf(&b, "\n  %s: %s", m.What, m.Command)
	}
	return b.String()
}

// look gathers the facts. It reads and asks, and changes nothing.
func look(ctx context.Context, privateSocket string) Host {
	h := Host{
		Root:     os.Geteuid() == 0,
		Apt:      onPath("apt-get") != "" && onPath("dpkg") != "",
		Dockerd:  onPath("dockerd"),
		Iptables: onPath("iptables") != "",
		Compiler: onPath("gcc") != "" || onPath("cc") != "" || onPath("clang") != "",
		GnuPG:    onPath("gpg") != "",
		Curl:     onPath("curl") != "",
	}
	lists, _ := filepath.Glob("/var/lib/apt/lists/*_Packages*")
	h.AptLists = len(lists) > 0
	h.DockerSocket, _ = findDaemon(os.Getenv("DOCKER_HOST"), privateSocket)
	h.DockerDenied = h.DockerSocket == "" && denied(systemSocket)
	if h.Python = onPath("python3"); h.Python != "" {
		h.PythonVersion, h.PythonBase, h.PythonVenv = askPython(ctx, h.Python)
	}
	return h
}

// askPython tells Python's version, where it really lies, and whether it can make environments: Debian splits
// ensurepip off.
func askPython(ctx context.Context, python string) (version, base string, venv bool) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	const script = `import os, sys, importlib.util as u
print("%d.%d" % sys.version_info[:2], all(u.find_spec(m) for m in ("venv", "ensurepip")), os.path.realpath(sys.executable))`
	out, err := exec.CommandContext(ctx, python, "-c", script).Output()
	if err != nil {
		return "", "", false
	}
	words := strings.SplitN(strings.TrimSpace(string(out)), " ", 3)
	if len(words) != 3 {
		return "", "", false
	}
	return words[0], words[2], words[1] == "True"
}

// onPath finds a program, also in the folders of the super-user that a plain user's PATH leaves out.
func onPath(name string) string {
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if p := filepath.Join(dir, name); exists(p) {
			return p
		}
	}
	return ""
}
