package toolcache

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/toolchain"
)

// goTool is a tool that is taken from PATH where it is new enough, and built from a wrapper module otherwise.
type goTool struct {
	names   []string // programs on PATH that will do, best first
	pin     toolchain.Pin
	tool    string // key in the cache
	module  string // folder of the wrapper module, below the repository's root
	pkg     string // the package to build
	binary  string
	ldflags string // besides those that strip it
	version func(ctx context.Context, program string) (string, error)
}

func (c Cache) consul() goTool {
	return goTool{
		names: []string{"consul"}, pin: c.Pins.Consul, tool: "consul", binary: "consul",
		module: "toolchain/consul", pkg: "github.com/hashicorp/consul", version: consulVersion,
	}
}

// terraform is what runs a configuration: Terraform where the machine has it, else OpenTofu.
func (c Cache) terraform() goTool {
	t := c.openTofu()
	t.names = []string{"terraform", "tofu"}
	return t
}

func (c Cache) openTofu() goTool {
	return goTool{
		names: []string{"tofu"}, pin: c.Pins.OpenTofu, tool: "opentofu", binary: "tofu",
		module: "toolchain/opentofu", pkg: "github.com/opentofu/opentofu/cmd/tofu", version: terraformVersion,
		// A release, else it calls itself 1.10.6-dev, which no required_version constraint takes.
		ldflags: "-X github.com/opentofu/opentofu/version.dev=no",
	}
}

func (c Cache) goReleaser() goTool {
	return goTool{
		names: []string{"goreleaser"}, pin: c.Pins.GoReleaser, tool: "goreleaser", binary: "goreleaser",
		module: "toolchain/goreleaser", pkg: "github.com/goreleaser/goreleaser/v2", version: versionLine("--version"),
	}
}

func (c Cache) cycloneDX() goTool {
	return goTool{
		names: []string{"cyclonedx-gomod"}, pin: c.Pins.CycloneDX, tool: "cyclonedx", binary: "cyclonedx-gomod",
		module: "toolchain/cyclonedx", pkg: "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod", version: versionLine("version"),
	}
}

// find returns the path of a tool that is there, and where; "" where it would have to be built.
func (t goTool) find(ctx context.Context, c Cache) (path, where string) {
	for _, name := range t.names {
		program := onPath(name)
		if program == "" {
			continue
		}
		if v, err := t.version(ctx, program); err == nil && atLeast(v, t.pin.Minimum) {
			return program, name + " " + v + " on PATH"
		}
	}
	if path = t.built(c); exists(path) {
		return path, "present"
	}
	return "", ""
}

// built is where the tool's own build lies.
func (t goTool) built(c Cache) string { return filepath.Join(c.dir(t.tool, t.pin.Version), t.binary) }

// bring returns the tool's path and how it came there.
func (t goTool) bring(ctx context.Context, c Cache, repo string) (path, how string, err error) {
	if path, how = t.find(ctx, c); path != "" {
		return path, how, nil
	}
	err = c.fill(t.tool, t.pin.Version, func(tmp string) error {
		// GOFLAGS of the user's, such as -mod=vendor, are meant for their own modules.
		build := command{dir: filepath.Join(repo, t.module), env: []string{"CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off"}}
		_, err := build.run(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", strings.TrimSpace("-s -w "+t.ldflags), "-o", filepath.Join(tmp, t.binary), t.pkg)
		return err
	})
	return t.built(c), "built", err
}

var consulVersionLine = regexp.MustCompile(`^Consul v(\S+)`)

func consulVersion(ctx context.Context, program string) (string, error) {
	out, err := command{}.run(ctx, program, "version")
	if err != nil {
		return "", err
	}
	m := consulVersionLine.FindStringSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("%s version: %q tells no version", program, lastLines(out, 1))
	}
	return m[1], nil
}

// toolVersion matches the line of a release tool's version among those that it prints.
var toolVersion = regexp.MustCompile(`(?m)^(?:Git)?Version:\s+v?(\S+)`)

// versionLine asks a release tool for its version by the argument.
func versionLine(argument string) func(context.Context, string) (string, error) {
	return func(ctx context.Context, program string) (string, error) {
		out, err := command{}.run(ctx, program, argument)
		if err != nil {
			return "", err
		}
		m := toolVersion.FindStringSubmatch(out)
		if m == nil {
			return "", fmt.Errorf("%s %s: %q tells no version", program, argument, lastLines(out, 1))
		}
		return m[1], nil
	}
}

func terraformVersion(ctx context.Context, program string) (string, error) {
	// Whatever the user's own CLI configuration says about plugins, or warns of, is no matter here.
	out, err := command{env: []string{"TF_CLI_CONFIG_FILE=" + os.DevNull, "CHECKPOINT_DISABLE=1"}}.run(ctx, program, "version", "-json")
	if err != nil {
		return "", err
	}
	return parseTerraformVersion(out)
}

func parseTerraformVersion(out string) (string, error) {
	var v struct {
		Version string `json:"terraform_version"`
	}
	start := max(strings.Index(out, "{"), 0)
	if err := json.NewDecoder(strings.NewReader(out[start:])).Decode(&v); err != nil {
		return "", fmt.Errorf("parse the version of Terraform: %w", err)
	}
	return v.Version, nil
}
