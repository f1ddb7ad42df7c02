package toolcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Setup brings every real component and image that is missing.
type Setup struct {
	Cache    Cache
	Repo     string // root of this repository's checkout
	LDFlags  string // for consulecs-agent; the same as make build's, so that it is not linked twice
	OpenTofu bool   // build OpenTofu also where Terraform is there, which takes minutes of a processor
	Release  bool   // build what a release is made with, which takes minutes, too
	Out      io.Writer
}

// Run brings what is missing and reports each step. It may be run any number of times, also at once, and takes up
// where an interrupted run stopped.
func (s Setup) Run(ctx context.Context) error {
	start := time.Now()
	unlock, err := s.Cache.lock(ctx, s.Out)
	if err != nil {
		return err
	}
	defer unlock()
	// What an interrupted run left. Where a child of a child outlives it and still writes there, the next run takes the rest.
	_ = os.RemoveAll(s.Cache.scratch())
	if err := s.Cache.dropDamaged(s.Out); err != nil {
		return err
	}
	host, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	found := s.Cache.recorded()
	var socket string
	err = runLanes(ctx, s.Out, s.built(&found), s.fetched(host, &found, &socket), s.releasing(&found))
	if err == nil { // it is made of what came by two lanes
		err = runLanes(ctx, s.Out, []step{{name: "image " + ConsulImage, do: func(ctx context.Context) (string, error) {
			return images{newEngine(socket), s.Repo, s.LDFlags}.consul(ctx, found.Consul)
		}}})
	}
	if saved := s.Cache.save(found); saved != nil {
		return errors.Join(err, saved)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted: %w\nhint: what is complete stays; run make setup again to go on", ctx.Err())
	}
	if err == nil {
		fmt.Fprintf(s.Out, "%-26s %-32s %6.1f s\n", "setup", "complete", time.Since(start).Seconds())
	}
	return err
}

// prepare looks at the machine, installs the packages that are lacking where it may, and else says which are.
func (s Setup) prepare(ctx context.Context) (Host, error) {
	host := look(ctx, s.Cache.privateSocket())
	found := s.Cache.recorded()
	todo := Todo{
		Python:  found.Envoy == "" || found.MotoServer == "" || found.LocalStackPython == "",
		Base:    !exists(s.Cache.dir("base", s.Cache.baseKey())) || !exists(s.Cache.dir("busybox", s.Cache.busyBoxKey())) || !exists(s.Cache.dir("musl", s.Cache.muslKey())),
		Release: s.Release,
	}
	packages, missing := needs(host, todo, s.Cache.Pins.Python.Minimum)
	if len(missing) > 0 {
		return host, missing
	}
	if len(packages) == 0 {
		return host, nil
	}
	err := runLanes(ctx, s.Out, []step{{name: "Debian packages", do: func(ctx context.Context) (string, error) {
		return strings.Join(packages, " "), aptInstall(ctx, host, packages)
	}}})
	return look(ctx, s.Cache.privateSocket()), err
}

// built is the lane of what is compiled: it keeps the processors busy while the others wait for the network.
func (s Setup) built(found *Paths) []step {
	bring := func(label string, tool goTool, path *string) step {
		return step{name: label, do: func(ctx context.Context) (string, error) {
			if *path != "" {
				return "present", nil
			}
			p, how, err := tool.bring(ctx, s.Cache, s.Repo)
			if err == nil {
				*path = p
			}
			return how, err
		}}
	}
	pins := s.Cache.Pins
	return []step{
		bring("Consul "+pins.Consul.Version, s.Cache.consul(), &found.Consul),
		bring("Terraform or OpenTofu", s.Cache.terraform(), &found.Terraform),
		// After the one before: where there is no Terraform it has been built by then.
		s.onDemand("OpenTofu "+pins.OpenTofu.Version, "-opentofu", s.OpenTofu, s.Cache.openTofu(), &found.OpenTofu),
	}
}

// releasing is the lane of what makes a release: hundreds of modules are downloaded for it, which need not wait for what is compiled.
func (s Setup) releasing(found *Paths) []step {
	pins := s.Cache.Pins
	return []step{
		s.onDemand("GoReleaser "+pins.GoReleaser.Version, "-release", s.Release, s.Cache.goReleaser(), &found.GoReleaser),
		s.onDemand("cyclonedx-gomod "+pins.CycloneDX.Version, "-release", s.Release, s.Cache.cycloneDX(), &found.CycloneDX),
	}
}

// onDemand is a step for a tool that is built only where a flag asks for it, and found where it is there.
func (s Setup) onDemand(name, flag string, asked bool, tool goTool, path *string) step {
	return step{name: name, do: func(ctx context.Context) (how string, err error) {
		if asked {
			return keep(path)(tool.bring(ctx, s.Cache, s.Repo))
		}
		if *path, how = tool.find(ctx, s.Cache); *path == "" {
			how = "left out: setup " + flag
		}
		return how, nil
	}}
}

// fetched is the lane of what is downloaded, and of the images made of it.
func (s Setup) fetched(h Host, found *Paths, socket *string) []step {
	c, pins := s.Cache, s.Cache.Pins
	docker, envoy := "Docker daemon", "Envoy "+pins.Envoy.Version
	rootfs, base := "container base", "image "+BaseImage
	made := func(ctx context.Context, produce func(images) (string, error)) (string, error) {
		return produce(images{newEngine(*socket), s.Repo, s.LDFlags})
	}
	return []step{
		{name: docker, do: func(ctx context.Context) (how string, err error) {
			*socket, how, err = c.bringDaemon(ctx, h)
			return how, err
		}},
		{name: envoy, do: func(ctx context.Context) (how string, err error) {
			return keep(&found.Envoy)(c.bringEnvoy(ctx, h))
		}},
		{name: rootfs, do: func(ctx context.Context) (string, error) { return c.bringBase(ctx, h) }},
		{name: base, after: []string{docker, envoy, rootfs}, do: func(ctx context.Context) (string, error) {
			return made(ctx, func(m images) (string, error) { return m.base(ctx, c, found.Envoy) })
		}},
		{name: "image " + PauseImage, after: []string{docker}, do: func(ctx context.Context) (string, error) {
			return made(ctx, func(m images) (string, error) {
				return m.static(ctx, PauseImage, "pause", "./internal/localecs/cmd/pause")
			})
		}},
		{name: "image " + BusyBoxImage, after: []string{docker}, do: func(ctx context.Context) (string, error) {
			program, err := c.bringBusyBox(ctx, h)
			if err != nil {
				return "", err
			}
			return made(ctx, func(m images) (string, error) { return m.busyBox(ctx, program) })
		}},
		{name: "image " + MuslImage, after: []string{docker}, do: func(ctx context.Context) (string, error) {
			program, err := c.bringMusl(ctx, h)
			if err != nil {
				return "", err
			}
			return made(ctx, func(m images) (string, error) { return m.musl(ctx, program) })
		}},
		{name: "moto " + pins.Moto.Version, do: func(ctx context.Context) (string, error) {
			return keep(&found.MotoServer)(c.bringMoto(ctx, h))
		}},
		{name: "LocalStack " + pins.LocalStack.Version, do: func(ctx context.Context) (string, error) {
			return keep(&found.LocalStackPython)(c.bringLocalStack(ctx, h))
		}},
		{name: "image " + AgentImage, after: []string{base}, do: func(ctx context.Context) (string, error) {
			return made(ctx, func(m images) (string, error) { return m.agent(ctx) })
		}},
		{name: "image " + DemoAppImage, after: []string{docker}, do: func(ctx context.Context) (string, error) {
			return made(ctx, func(m images) (string, error) {
				return m.static(ctx, DemoAppImage, "demo-app", "./examples/local/app")
			})
		}},
	}
}

// keep stores the path of a tool that came.
func keep(into *string) func(path, how string, err error) (string, error) {
	return func(path, how string, err error) (string, error) {
		if err == nil {
			*into = path
		}
		return how, err
	}
}

// bringDaemon returns the socket of a Docker daemon, a private one where none answered.
func (c Cache) bringDaemon(ctx context.Context, h Host) (socket, how string, err error) {
	switch h.DockerSocket {
	case "":
		favourContainers()
		return c.privateSocket(), "started, private", c.startDaemon(ctx, h.Dockerd)
	case c.privateSocket():
		favourContainers()
		return h.DockerSocket, "present, private", nil
	}
	return h.DockerSocket, "present, " + h.DockerSocket, nil
}

// lock waits until no other set-up works on this cache.
func (c Cache) lock(ctx context.Context, out io.Writer) (unlock func(), err error) {
	if err := os.MkdirAll(c.Root, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(c.Root, "setup.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for told := false; ; told = true {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil // closing releases it
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock the tool cache: %w", err)
		}
		if !told {
			fmt.Fprintln(out, "waiting for another set-up to end")
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("wait for another set-up: %w", ctx.Err())
		case <-tick.C:
		}
	}
}
