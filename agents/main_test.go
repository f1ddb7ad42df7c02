package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/agents/netdial"
)

func TestTheProgramSaysHowItIsUsed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args           []string
		code           int
		stdout, stderr string // parts of what is printed
	}{
		"nothing":          {nil, 2, "", "Usage: consulecs-agent AGENT"},
		"help":             {[]string{"--help"}, 0, "Usage: consulecs-agent AGENT", ""},
		"version":          {[]string{"version"}, 0, "consulecs-agent dev\n", ""},
		"unknown agent":    {[]string{"mesh"}, 2, "", `unknown agent "mesh"`},
		"help of an agent": {[]string{"mesh-init", "--help"}, 0, "Usage: consulecs-agent mesh-init", ""},
		"extra argument":   {[]string{"health-sync", "now"}, 2, "", `unexpected argument "now": health-sync takes none`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			code := dispatch(t.Context(), func(string) string { return "" }, tc.args, &stdout, &stderr)
			if code != tc.code || !strings.Contains(stdout.String(), tc.stdout) || !strings.Contains(stderr.String(), tc.stderr) {
				t.Errorf("exit code %d, want %d\nstdout: %s\nstderr: %s", code, tc.code, &stdout, &stderr)
			}
		})
	}
}

func TestEveryAgentRefusesAnUnknownFlag(t *testing.T) {
	t.Parallel()
	for _, a := range agents() {
		want := exitUsage
		if a.name == netdial.Name {
			want = 1 // 2 is its word for a port at which nothing listens
		}
		var stdout, stderr bytes.Buffer
		code := dispatch(t.Context(), func(string) string { return "" }, []string{a.name, "-yaml"}, &stdout, &stderr)
		if code != want || !strings.Contains(stderr.String(), "-yaml") || stdout.Len() > 0 {
			t.Errorf("%s -yaml: exit code %d, want %d; stdout %q, stderr %q", a.name, code, want, &stdout, &stderr)
		}
	}
}

func TestEveryAgentHasHelp(t *testing.T) {
	t.Parallel()
	for _, a := range agents() {
		var stdout, stderr bytes.Buffer
		if code := dispatch(t.Context(), func(string) string { return "" }, []string{a.name, "--help"}, &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), "Exit codes: ") || stderr.Len() > 0 {
			t.Errorf("%s --help: exit code %d, stdout %q, stderr %q", a.name, code, &stdout, &stderr)
		}
	}
}

const config = `{"bootstrapDir":"/consul","consulServers":{"hosts":"h"}`

func TestAWrapperEndsAsItsCommandDoes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args   []string
		code   int
		stderr string
	}{
		"app":                   {[]string{"app", "sh", "-c", "exit 42"}, 42, ""},
		"the incumbent's app":   {[]string{"app-entrypoint", "-shutdown-delay", "1s", "sh", "-c", "exit 42"}, 42, ""},
		"help is the command's": {[]string{"app", "sh", "-c", "echo $1 >&2", "sh", "--help"}, 0, "--help\n"},
		"missing program":       {[]string{"app", "/nowhere/program"}, 1, "start program: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stderr bytes.Buffer
			cmd := exec.Command(os.Args[0], tc.args...) // a process of its own: the wrapper takes the signals of one
			cmd.Env, cmd.Stderr = append(os.Environ(), asAgent+"=1"), &stderr
			_ = cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != tc.code || !strings.Contains(stderr.String(), tc.stderr) || tc.stderr == "" && stderr.Len() > 0 {
				t.Errorf("exit code %d, want %d; stderr %q, want %q", code, tc.code, &stderr, tc.stderr)
			}
		})
	}
}

func TestTheProgramAnswersToTheOfficialDataplanesName(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	cmd := exec.Command(os.Args[0], "-config-file", "/nowhere/consul-dataplane.json")
	cmd.Args[0] = "/usr/local/bin/consul-dataplane"
	cmd.Env, cmd.Stderr = append(os.Environ(), asAgent+"=1"), &stderr
	_ = cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(stderr.String(), "read dataplane file: open /nowhere/consul-dataplane.json") {
		t.Errorf("exit code %d, stderr %q", code, &stderr)
	}
}

func TestBadInputIsNamed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		config, metadata string
		want             string
	}{
		"no configuration":         {"", "", "CONSUL_ECS_CONFIG_JSON is not set"},
		"no JSON":                  {"{", "", "CONSUL_ECS_CONFIG_JSON: parse agent configuration: no JSON"},
		"wrong type":               {config + `,"service":{"port":"http"}}`, "", "service.port"},
		"unknown key":              {config + `,"gateway":{"kind":"mesh-gateway"}}`, "", "gateway"},
		"port out of range":        {config + `,"service":{"port":70000}}`, "", "service.port"},
		"name that Consul refuses": {config + `,"service":{"port":1,"name":"My App"}}`, "", "service.name"},
		"upstream without name":    {config + `,"proxy":{"upstreams":[{"localBindPort":1234}]}}`, "", "proxy.upstreams[0].destinationName"},
		"unknown cloud":            {`{"bootstrapDir":"/consul","consulServers":{"hosts":"provider=gce zone=a"}}`, "", "consulServers.hosts: has provider=gce, want aws"},
		"no metadata":              {config + `}`, "", "ECS_CONTAINER_METADATA_URI_V4 is not set"},
		"metadata are no address":  {config + `}`, "nowhere", `nowhere\" is not a URL"`},
	} {
		for _, agent := range []string{"mesh-init", "health-sync", "controller"} {
			t.Run(agent+"/"+name, func(t *testing.T) {
				t.Parallel()
				getenv := func(name string) string {
					return map[string]string{"CONSUL_ECS_CONFIG_JSON": tc.config, "ECS_CONTAINER_METADATA_URI_V4": tc.metadata}[name]
				}
				var stdout, stderr bytes.Buffer
				if code := dispatch(t.Context(), getenv, []string{agent}, &stdout, &stderr); code != 1 || !strings.Contains(stderr.String(), tc.want) {
					t.Errorf("exit code %d, want 1 and %q\n%s", code, tc.want, &stderr)
				}
			})
		}
	}
}

func TestADryRunPrintsTheRulesAndDoesNothing(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`,"transparentProxy":{"enabled":true,"excludeOutboundPorts":[5432]}}`: "-A CONSUL_PROXY_OUTPUT -p tcp -m tcp --dport 5432 ",
		`,"transparentProxy":{"enabled":false}}`:                              "no traffic is redirected",
	} {
		var stdout, stderr bytes.Buffer
		getenv := func(name string) string { return map[string]string{"CONSUL_ECS_CONFIG_JSON": config + text}[name] }
		if code := dispatch(t.Context(), getenv, []string{"mesh-init", "-dry-run"}, &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), want) {
			t.Errorf("exit code %d, want 0 and %q\n%s%s", code, want, &stdout, &stderr)
		}
	}
}
