package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// idle leaves the mesh at rest, then looks at the agents' memory and at what was written meanwhile.
func (b *bench) idle(ctx context.Context, controller, web string) error {
	before, err := b.index(ctx)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(idleFor):
	}
	after, err := b.index(ctx)
	if err != nil {
		return err
	}
	b.add(fmt.Sprintf("catalog writes in %s at idle (Raft index of checks)", idleFor), "0", "", float64(after-before))
	for _, r := range []struct{ task, container, agent, goal string }{
		{web, mesh.ContainerHealthSync, "health-sync", "< 20 MB"},
		{web, mesh.ContainerDataplane, "dataplane", "< 25 MB"},
		{controller, mesh.ContainerController, "controller", "< 30 MB"},
	} {
		rss, err := b.resident(ctx, r.task, r.container, r.agent)
		if err != nil {
			return err
		}
		b.add("resident memory at idle, "+r.agent, r.goal, "MB", rss)
	}
	return nil
}

// index is the Raft index of the last write that touched a check.
func (b *bench) index(ctx context.Context) (uint64, error) {
	_, meta, err := b.catalog.Health().State(api.HealthAny, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return 0, err
	}
	return meta.LastIndex, nil
}

// resident is the resident memory, in MB, of an agent's process in a container.
func (b *bench) resident(ctx context.Context, taskARN, container, agent string) (float64, error) {
	runs, err := b.Timeline(ctx, taskARN)
	if err != nil {
		return 0, err
	}
	for _, r := range runs {
		if r.Name == container {
			return residentOf(r.DockerID, agent)
		}
	}
	return 0, fmt.Errorf("task %s has no container %s", taskARN, container)
}

// residentOf finds the process by the container that its control group names and by the agent in its arguments.
func residentOf(dockerID, agent string) (float64, error) {
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return 0, err
	}
	for _, group := range groups {
		member, err := os.ReadFile(group)
		if err != nil || !strings.Contains(string(member), dockerID) {
			continue
		}
		proc := filepath.Dir(group)
		args, err := os.ReadFile(filepath.Join(proc, "cmdline"))
		if err != nil || !strings.HasPrefix(string(args), "/bin/consulecs-agent\x00"+agent+"\x00") {
			continue
		}
		status, err := os.ReadFile(filepath.Join(proc, "status"))
		if err != nil {
			return 0, err
		}
		_, rest, _ := strings.Cut(string(status), "VmRSS:")
		kb, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		n, err := strconv.ParseFloat(kb, 64)
		return n * 1024 / 1e6, err
	}
	return 0, fmt.Errorf("no process of agent %s in container %s", agent, dockerID)
}
