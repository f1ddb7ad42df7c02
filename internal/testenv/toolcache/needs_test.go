package toolcache

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNeeds(t *testing.T) {
	t.Parallel()
	ready := Host{
		Root: true, Apt: true, AptLists: true, Python: "/usr/bin/python3", PythonVersion: "3.11", PythonVenv: true,
		DockerSocket: "/run/docker.sock", Dockerd: "/usr/sbin/dockerd", Iptables: true, Compiler: true, Curl: true,
	}
	user := func(change func(*Host)) Host {
		h := ready
		h.Root = false
		change(&h)
		return h
	}
	root := func(change func(*Host)) Host {
		h := ready
		change(&h)
		return h
	}
	all := Todo{Python: true, Base: true}
	tests := map[string]struct {
		host     Host
		todo     Todo
		packages []string
		missing  []string // the first words of each
	}{
		"root, everything there":            {host: ready, todo: all},
		"user, everything there":            {host: user(func(*Host) {}), todo: all},
		"root, bare machine":                {host: Host{Root: true, Apt: true}, todo: all, packages: []string{"docker.io", "iptables", "gcc", "libc6-dev", "python3", "python3-venv"}},
		"user, bare machine":                {host: Host{Apt: true}, todo: all, missing: []string{"a Docker daemon", "a C compiler", "Python 3", "apt's package lists"}},
		"root, no apt":                      {host: Host{Root: true}, todo: all, missing: []string{"a Docker daemon", "a C compiler", "Python 3", "apt-get and dpkg"}},
		"root, daemon to be started":        {host: root(func(h *Host) { h.DockerSocket = "" }), todo: all},
		"root, dockerd without iptables":    {host: root(func(h *Host) { h.DockerSocket, h.Iptables = "", false }), todo: all, packages: []string{"iptables"}},
		"user, daemon does not run":         {host: user(func(h *Host) { h.DockerSocket = "" }), todo: all, missing: []string{"a running Docker daemon"}},
		"user, daemon refuses":              {host: user(func(h *Host) { h.DockerSocket, h.DockerDenied = "", true }), todo: all, missing: []string{"the right to use the Docker daemon"}},
		"root, Debian's Python without pip": {host: root(func(h *Host) { h.PythonVenv = false }), todo: all, packages: []string{"python3-venv"}},
		"user, Debian's Python without pip": {host: user(func(h *Host) { h.PythonVenv = false }), todo: all, missing: []string{"Python's venv"}},
		"Python too old":                    {host: root(func(h *Host) { h.PythonVersion = "3.9" }), todo: all, missing: []string{"Python 3.10 or newer"}},
		"Python no longer needed":           {host: root(func(h *Host) { h.Python = "" }), todo: Todo{Base: true}},
		"base made already":                 {host: user(func(h *Host) { h.AptLists, h.Apt = false, false }), todo: Todo{Python: true}},
		"root, no C compiler":               {host: root(func(h *Host) { h.Compiler = false }), todo: Todo{}, packages: []string{"gcc", "libc6-dev"}},
		"root, a release without GnuPG":     {host: root(func(*Host) {}), todo: Todo{Release: true}, packages: []string{"gnupg"}},
		"user, a release without GnuPG":     {host: user(func(*Host) {}), todo: Todo{Release: true}, missing: []string{"GnuPG, which signs a release"}},
		"root, a guide without curl":        {host: root(func(h *Host) { h.Curl, h.GnuPG = false, true }), todo: Todo{Release: true}, packages: []string{"curl"}},
		"user, a guide without curl":        {host: user(func(h *Host) { h.Curl, h.GnuPG = false, true }), todo: Todo{Release: true}, missing: []string{"curl, which"}},
		"root, a release with GnuPG":        {host: root(func(h *Host) { h.GnuPG = true }), todo: Todo{Release: true}},
		"root refreshes the lists itself":   {host: root(func(h *Host) { h.AptLists = false }), todo: all},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			packages, missing := needs(test.host, test.todo, "3.10")
			if diff := cmp.Diff(test.packages, packages); diff != "" {
				t.Errorf("packages (-want +got):\n%s", diff)
			}
			if len(missing) != len(test.missing) {
				t.Fatalf("missing %v, want %v", missing, test.missing)
			}
			for i, m := range missing {
				if !strings.HasPrefix(m.What, test.missing[i]) || m.Command == "" {
					t.Errorf("missing %q by %q, want %q", m.What, m.Command, test.missing[i])
				}
			}
		})
	}
}

func TestMissingErrorListsEveryThingWithItsCommand(t *testing.T) {
	t.Parallel()
	err := MissingError{{"a Docker daemon", "sudo apt-get install docker.io"}, {"apt's package lists", "sudo apt-get update"}}
	want := "this machine lacks:\n  a Docker daemon: sudo apt-get install docker.io\n  apt's package lists: sudo apt-get update"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAtLeast(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		version, minimum string
		want             bool
	}{
		"equal":              {"1.21", "1.21", true},
		"patch above":        {"1.21.3", "1.21", true},
		"by number":          {"1.9.0", "1.21", false},
		"major above":        {"2.0", "1.21", true},
		"shorter":            {"1", "1.0.1", false},
		"enterprise":         {"1.22.7+ent", "1.21", true},
		"prerelease":         {"v1.21.0-rc1", "1.21", true},
		"python":             {"3.9", "3.10", false},
		"not a version":      {"dev", "1.0", false},
		"nothing":            {"", "1.0", false},
		"surrounding spaces": {" 1.8.5\n", "1.8", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := atLeast(test.version, test.minimum); got != test.want {
				t.Errorf("atLeast(%q, %q) = %v, want %v", test.version, test.minimum, got, test.want)
			}
		})
	}
}

func TestCandidatesForADockerDaemon(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		dockerHost string
		want       []string
	}{
		"none named":         {"", []string{systemSocket, "/cache/docker.sock"}},
		"a socket":           {"unix:///run/mine.sock", []string{"/run/mine.sock", systemSocket, "/cache/docker.sock"}},
		"on another machine": {"tcp://192.0.2.1:2375", []string{systemSocket, "/cache/docker.sock"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, candidates(test.dockerHost, "/cache/docker.sock")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseTerraformVersion(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		out, want string
		fails     bool
	}{
		"terraform":       {out: "{\n  \"terraform_version\": \"1.11.4\",\n  \"platform\": \"linux_amd64\"\n}\n", want: "1.11.4"},
		"after a warning": {out: "Warning: no such file\n{\"terraform_version\": \"1.10.6\"}", want: "1.10.6"},
		"no JSON":         {out: "Terraform v0.11", fails: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parseTerraformVersion(test.out)
			if (err != nil) != test.fails || got != test.want {
				t.Errorf("got %q, %v; want %q, an error: %v", got, err, test.want, test.fails)
			}
		})
	}
}
