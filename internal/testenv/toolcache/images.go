package toolcache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// The images that a set-up leaves in the Docker daemon.
const (
	BaseImage    = "consulecs-base:local"     // Debian's iptables and certificates, and Envoy
	AgentImage   = "consulecs-agent:local"    // the base and consulecs-agent
	DemoAppImage = "consulecs-demo-app:local" // the demo's HTTP app, alone
	ConsulImage  = "consulecs-consul:local"   // the base, Consul and a shell, where HashiCorp's image has them
	PauseImage   = "localecs-pause:local"     // holds a task's network namespace
)

// volumeMode is the mode of the shared volume's folder in the agent image: see Dockerfile.
const volumeMode = 0o1777

// images makes images out of what the cache and the repository hold.
type images struct {
	engine  engine
	repo    string // the repository's root
	ldflags string // of the agent; the others carry no version
}

// ensure makes an image unless the one of that name was made of the same inputs. The image it replaces is removed
// now or, where a container still uses it, by a later run.
func (m images) ensure(ctx context.Context, name, inputs string, produce func(labels map[string]string) error) (how string, err error) {
	old, err := m.engine.inspect(ctx, name)
	if err != nil {
		return "", err
	}
	if old.Config.Labels[inputsLabel] == inputs {
		return "present", nil
	}
	if err := produce(map[string]string{inputsLabel: inputs}); err != nil {
		return "", fmt.Errorf("make image %s: %w", name, err)
	}
	now, err := m.engine.inspect(ctx, name)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("made, %d MB", now.Size/1_000_000), m.engine.sweep(ctx)
}

// base makes the base image of the unpacked packages and Envoy.
func (m images) base(ctx context.Context, c Cache, envoy string) (how string, err error) {
	inputs := digest(c.baseKey(), c.Pins.Envoy.Version)
	return m.ensure(ctx, BaseImage, inputs, func(labels map[string]string) error {
		root := stream(func(t tarball) error {
			if err := t.tree(filepath.Join(c.dir("base", c.baseKey()), "root")); err != nil {
				return err
			}
			if err := t.folder("usr/local/bin", 0o755); err != nil {
				return err
			}
			return t.file("usr/local/bin/envoy", 0o755, envoy)
		})
		defer root.Close()
		return m.engine.importImage(ctx, BaseImage, append(labelLines(labels), "ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin"), root)
	})
}

// localHead stands in for what the Dockerfile of a release does first, with a base that has no shell: the folder of the shared volume,
// and the other programs' names. The base is named by an argument.
const localHead = `ARG BASE
FROM ${BASE}
COPY volume /
COPY links/ /bin/
COPY links/ /usr/local/bin/
`

// agentPart is the instruction of the Dockerfile with which the part begins that is the same on every base.
const agentPart = "\nARG TARGETPLATFORM\n"

// localDockerfile is the release's Dockerfile on a base of ours.
func localDockerfile(release string) (string, error) {
	_, rest, found := strings.Cut(release, agentPart)
	if !found {
		return "", fmt.Errorf("the Dockerfile has no line %q", strings.TrimSpace(agentPart))
	}
	return localHead + agentPart + rest, nil
}

// agent builds consulecs-agent and, by the repository's Dockerfile, its image.
func (m images) agent(ctx context.Context) (how string, err error) {
	binary, err := m.compile(ctx, "consulecs-agent", "./agents", m.ldflags)
	if err != nil {
		return "", err
	}
	release, err := os.ReadFile(filepath.Join(m.repo, "Dockerfile"))
	if err != nil {
		return "", err
	}
	dockerfile, err := localDockerfile(string(release))
	if err != nil {
		return "", err
	}
	content, err := fileDigests(binary)
	if err != nil {
		return "", err
	}
	base, err := m.engine.inspect(ctx, BaseImage)
	if err != nil {
		return "", err
	}
	return m.ensure(ctx, AgentImage, digest(content, dockerfile, base.ID), func(labels map[string]string) error {
		buildContext := stream(func(t tarball) error { return agentContext(t, dockerfile, binary) })
		defer buildContext.Close()
		return m.engine.build(ctx, AgentImage, map[string]string{"BASE": BaseImage, "TARGETPLATFORM": "local"}, labels, buildContext)
	})
}

func agentContext(t tarball, dockerfile, binary string) error {
	if err := t.text("Dockerfile", dockerfile); err != nil {
		return err
	}
	if err := t.folder("volume/consul", volumeMode); err != nil {
		return err
	}
	for _, name := range []string{"consul-ecs", "consul-dataplane", "discover"} {
		if err := t.link("links/"+name, "/bin/consulecs-agent"); err != nil {
			return err
		}
	}
	return t.file("local/consulecs-agent", 0o755, binary)
}

// shell is this machine's, which needs no more of the base than its C library.
const shell = "/bin/sh"

// consul makes the image of the Consul that was built, on the base.
func (m images) consul(ctx context.Context, binary string) (how string, err error) {
	const dockerfile = "FROM " + BaseImage + "\nCOPY local/ /bin/\n"
	content, err := fileDigests(binary, shell)
	if err != nil {
		return "", err
	}
	base, err := m.engine.inspect(ctx, BaseImage)
	if err != nil {
		return "", err
	}
	return m.ensure(ctx, ConsulImage, digest(content, dockerfile, base.ID), func(labels map[string]string) error {
		buildContext := stream(func(t tarball) error {
			return errors.Join(t.text("Dockerfile", dockerfile), t.file("local/consul", 0o755, binary), t.file("local/sh", 0o755, shell))
		})
		defer buildContext.Close()
		return m.engine.build(ctx, ConsulImage, nil, labels, buildContext)
	})
}

// static builds a Go program and an image that holds nothing else.
func (m images) static(ctx context.Context, name, program, pkg string) (how string, err error) {
	binary, err := m.compile(ctx, program, pkg, "-s -w")
	if err != nil {
		return "", err
	}
	inputs, err := fileDigests(binary)
	if err != nil {
		return "", err
	}
	return m.ensure(ctx, name, inputs, func(labels map[string]string) error {
		root := stream(func(t tarball) error { return t.file(program, 0o755, binary) })
		defer root.Close()
		changes := append(labelLines(labels), `ENTRYPOINT ["/`+program+`"]`, "USER 65534:65534")
		return m.engine.importImage(ctx, name, changes, root)
	})
}

// compile builds a program of this repository into bin, as make build does: without changes it does nothing. A commit alone
// is none, so that images outlive it.
func (m images) compile(ctx context.Context, program, pkg, ldflags string) (string, error) {
	binary := filepath.Join(m.repo, "bin", program)
	build := command{dir: m.repo, env: []string{"CGO_ENABLED=0"}}
	_, err := build.run(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", ldflags, "-o", binary, pkg)
	return binary, err
}

func labelLines(labels map[string]string) []string {
	var lines []string
	for k, v := range labels {
		lines = append(lines, fmt.Sprintf("LABEL %s=%s", k, v))
	}
	return lines
}

func fileDigests(names ...string) (string, error) {
	h := sha256.New()
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// ImageSize is the size in bytes of an image in the daemon, its layers unpacked.
func ImageSize(ctx context.Context, name string) (int64, error) {
	found, err := Find()
	if err != nil {
		return 0, err
	}
	img, err := newEngine(strings.TrimPrefix(found.DockerHost, "unix://")).inspect(ctx, name)
	switch {
	case err != nil:
		return 0, err
	case img.ID == "":
		return 0, fmt.Errorf("the daemon has no image %s\nhint: run make setup", name)
	}
	return img.Size, nil
}
