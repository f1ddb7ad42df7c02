package toolcache

import (
	"strconv"
	"strings"
)

// needs decides what has to be installed before the steps can run: packages that the set-up may install itself
// (it is root on a machine with apt), and everything that only the user can bring.
func needs(h Host, todo Todo, minPython string) (packages []string, missing MissingError) {
	install := h.Root && h.Apt
	want := func(what, pkg, command string) {
		if install {
			packages = append(packages, strings.Fields(pkg)...)
			return
		}
		missing = append(missing, Missing{what, command})
	}
	switch {
	case h.DockerSocket != "":
	case h.DockerDenied && !h.Root:
		missing = append(missing, Missing{"the right to use the Docker daemon", "sudo usermod -aG docker $USER, then log in again"})
	case !h.Root && h.Dockerd != "":
		missing = append(missing, Missing{"a running Docker daemon", "sudo systemctl start docker && sudo usermod -aG docker $USER, then log in again"})
	case h.Dockerd == "":
		want("a Docker daemon", "docker.io iptables", "sudo apt-get install docker.io && sudo usermod -aG docker $USER, then log in again")
	case !h.Iptables:
		want("iptables, for Docker's networks", "iptables", "sudo apt-get install iptables")
	}
	if !h.Compiler {
		want("a C compiler, for Go's race detector", "gcc libc6-dev", "sudo apt-get install gcc libc6-dev")
	}
	if todo.Release && !h.GnuPG {
		want("GnuPG, which signs a release", "gnupg", "sudo apt-get install gnupg")
	}
	if todo.Release && !h.Curl {
		want("curl, which the commands of a guide call", "curl", "sudo apt-get install curl")
	}
	if todo.Python {
		switch {
		case h.Python == "":
			want("Python 3", "python3 python3-venv", "sudo apt-get install python3 python3-venv")
		case !atLeast(h.PythonVersion, minPython):
			missing = append(missing, Missing{"Python " + minPython + " or newer as python3 (found " + h.PythonVersion + ")", "install one and put it first on PATH"})
		case !h.PythonVenv:
			want("Python's venv and ensurepip", "python3-venv", "sudo apt-get install python3-venv")
		}
	}
	if todo.Base {
		switch {
		case !h.Apt:
			missing = append(missing, Missing{"apt-get and dpkg, which the container base is made with", "run this on Debian or Ubuntu"})
		case !h.AptLists && !h.Root:
			missing = append(missing, Missing{"apt's package lists", "sudo apt-get update"})
		}
	}
	return packages, missing
}

// atLeast compares dotted versions by number; a leading v and a suffix such as -rc1 or +ent are ignored.
func atLeast(version, minimum string) bool {
	have, want := numbers(version), numbers(minimum)
	if len(have) == 0 {
		return false
	}
	for i, w := range want {
		h := 0
		if i < len(have) {
			h = have[i]
		}
		if h != w {
			return h > w
		}
	}
	return true
}

func numbers(version string) []int {
	version = strings.TrimPrefix(strings.TrimSpace(version), "v")
	if i := strings.IndexAny(version, "-+ "); i >= 0 {
		version = version[:i]
	}
	var ns []int
	for _, part := range strings.Split(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		ns = append(ns, n)
	}
	return ns
}
