// Package contained runs the program of a test once more in a container: as root, with the capability NET_ADMIN and with
// the programs of the agents' image, among them iptables. So a test of what takes root needs neither root nor anything
// installed, only the Docker daemon that all of the tests share.
package contained

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"testing"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/required"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// Command is one run of the calling test's own program.
type Command struct {
	Args    []string
	Env     []string // NAME=value; the program gets nothing of this process's environment
	Network string   // "" for a namespace of its own with loopback alone, or container:ID for another container's
}

// program is where the container has the test's program.
const program = "/program"

// Run runs the command to its end and returns what it printed, also where it failed. Without a Docker daemon the test is
// skipped, or fails where REQUIRE_REAL is set.
func Run(t *testing.T, c Command) (string, error) {
	t.Helper()
	docker := connect(t)
	defer docker.Close()
	return c.run(t.Context(), docker)
}

// NetworkOf is the network of the container that has the address, for a Command.
func NetworkOf(t *testing.T, address netip.Addr) string {
	t.Helper()
	docker := connect(t)
	defer docker.Close()
	listed, err := docker.ContainerList(t.Context(), client.ContainerListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range listed.Items {
		if c.NetworkSettings == nil {
			continue
		}
		for _, endpoint := range c.NetworkSettings.Networks {
			if endpoint.IPAddress == address {
				return "container:" + c.ID
			}
		}
	}
	t.Fatalf("no container has the address %s", address)
	return ""
}

func connect(t *testing.T) *client.Client {
	t.Helper()
	tools, err := toolcache.Find()
	if tools.DockerHost == "" {
		required.Missing(t, "no Docker daemon runs: ", err)
	}
	docker, err := client.New(client.WithHost(tools.DockerHost))
	if err != nil {
		t.Fatal(err)
	}
	return docker
}

func (c Command) run(ctx context.Context, docker *client.Client) (output string, err error) {
	made, err := docker.ContainerCreate(ctx, c.options())
	if err != nil {
		return "", fmt.Errorf("create a container: %w\nhint: make setup makes the image", err)
	}
	defer func() { // one that has ended is gone already
		_, left := docker.ContainerRemove(context.WithoutCancel(ctx), made.ID, client.ContainerRemoveOptions{Force: true})
		if !cerrdefs.IsNotFound(left) {
			err = errors.Join(err, left)
		}
	}()
	content, err := packed()
	if err != nil {
		return "", err
	}
	if _, err := docker.CopyToContainer(ctx, made.ID, client.CopyToContainerOptions{DestinationPath: "/", Content: content}); err != nil {
		return "", fmt.Errorf("copy the program: %w", err)
	}
	ended := docker.ContainerWait(ctx, made.ID, client.ContainerWaitOptions{Condition: container.WaitConditionRemoved})
	printed, err := docker.ContainerAttach(ctx, made.ID, client.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return "", fmt.Errorf("attach to the program: %w", err)
	}
	defer printed.Close()
	defer context.AfterFunc(ctx, printed.Close)()
	if _, err := docker.ContainerStart(ctx, made.ID, client.ContainerStartOptions{}); err != nil {
		return "", fmt.Errorf("start the program: %w", err)
	}
	var out bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &out, printed.Reader); err != nil {
		return out.String(), fmt.Errorf("read what the program prints: %w", err)
	}
	select {
	case exit := <-ended.Result:
		if exit.StatusCode != 0 {
			return out.String(), fmt.Errorf("exit code %d", exit.StatusCode)
		}
		return out.String(), nil
	case err := <-ended.Error:
		return out.String(), fmt.Errorf("wait for the program: %w", err)
	}
}

func (c Command) options() client.ContainerCreateOptions {
	host := &container.HostConfig{
		CapAdd: []string{"NET_ADMIN"}, NetworkMode: container.NetworkMode(c.Network),
		AutoRemove: true, // also where this process dies meanwhile
	}
	if c.Network == "" {
		host.NetworkMode = "none"
		host.Sysctls = map[string]string{ // Docker turns IPv6 off where a network has none
			"net.ipv6.conf.all.disable_ipv6": "0", "net.ipv6.conf.default.disable_ipv6": "0", "net.ipv6.conf.lo.disable_ipv6": "0",
		}
	}
	return client.ContainerCreateOptions{
		HostConfig: host,
		Config:     &container.Config{Image: toolcache.BaseImage, Entrypoint: append([]string{program}, c.Args...), Env: c.Env},
	}
}

// packed is the running program as Docker takes files. It is copied, not mounted: a daemon may have another view of the
// folders where Go builds tests.
func packed() (io.Reader, error) {
	binary, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: program[1:], Mode: 0o755, Size: int64(len(binary))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(binary); err != nil {
		return nil, err
	}
	return &b, w.Close()
}
