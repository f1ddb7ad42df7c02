package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// Adopt takes over the given tasks after a restart: what still runs goes on, what does not is reported as stopped,
// and containers and volumes of the world that belong to none of them are removed. It is called once, before Run, also
// when there are no tasks: from then on what belongs to no task is swept. Tasks that were stopping are to be stopped again.
func (e *Engine) Adopt(ctx context.Context, tasks []Task) error {
	list, err := e.docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: worldFilter(e.cfg.World)})
	if err != nil {
		return fmt.Errorf("list the containers of world %s: %w", e.cfg.World, err)
	}
	byTask := map[string]map[string]container.Summary{}
	for _, c := range list.Items {
		arn := c.Labels[labelTask]
		if byTask[arn] == nil {
			byTask[arn] = map[string]container.Summary{}
		}
		byTask[arn][c.Labels[labelContainer]] = c
	}
	var errs []error
	for _, t := range tasks {
		if err := e.adopt(ctx, t, byTask[t.ARN]); err != nil {
			errs = append(errs, fmt.Errorf("adopt task %s: %w", t.ARN, err))
		}
	}
	e.mu.Lock()
	e.owning = true
	e.mu.Unlock()
	e.look(ctx)
	e.sweepVolumes(ctx)
	return errors.Join(errs...)
}

// adopt rebuilds a task's state from its containers. A task without a running pause container has lost its address:
// it is wound up.
func (e *Engine) adopt(ctx context.Context, t Task, there map[string]container.Summary) error {
	pause := there[pauseName]
	r := e.add(t, pause.Labels[labelCredentials])
	if r == nil {
		return nil
	}
	s := &r.state
	s.pauseID, s.prepared, s.stage = pause.ID, true, up
	s.pullStarted, s.pullStopped = &t.CreatedAt, &t.CreatedAt
	for _, m := range s.members {
		c, ok := there[m.name()]
		if !ok {
			continue
		}
		found, err := e.docker.ContainerInspect(ctx, c.ID, client.ContainerInspectOptions{})
		if err != nil && !cerrdefs.IsNotFound(err) {
			return err
		}
		if err == nil && found.Container.State != nil {
			m.id, m.phase, m.labels, m.imageID = c.ID, created, c.Labels, c.ImageID
			m.createdAt = parseDockerTime(found.Container.Created)
			s.observe(m, *found.Container.State)
		}
	}
	if pause.State == container.StateRunning {
		var err error
		if s.eni, err = e.interfaceOf(ctx, pause.ID); err != nil {
			return err
		}
		secrets, err := r.secrets(ctx) // containers not created yet may need theirs
		if err != nil {
			s.stop(ecstypes.TaskStopCodeTaskFailedToStart, "ResourceInitializationError: "+err.Error(), time.Now())
		}
		r.secretValues = secrets
	} else {
		s.stop(ecstypes.TaskStopCodeEssentialContainerExited, essentialExit, time.Now())
	}
	e.spawn(r.loop)
	return nil
}

// Down removes every container, network and volume of the world cfg.World. It needs no running engine.
func Down(ctx context.Context, cfg Config) error {
	docker, err := connect(ctx, cfg.DockerHost)
	if err != nil {
		return err
	}
	defer docker.Close()
	if err := removeContainers(ctx, docker, cfg.World); err != nil {
		return err
	}
	var errs []error
	volumes, err := docker.VolumeList(ctx, client.VolumeListOptions{Filters: worldFilter(cfg.World)})
	if err != nil {
		return fmt.Errorf("list the volumes of world %s: %w", cfg.World, err)
	}
	for _, v := range volumes.Items {
		if _, err := docker.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true}); err != nil && !cerrdefs.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("remove volume %s: %w", v.Name, err))
		}
	}
	networks, err := docker.NetworkList(ctx, client.NetworkListOptions{Filters: worldFilter(cfg.World)})
	if err != nil {
		return fmt.Errorf("list the networks of world %s: %w", cfg.World, err)
	}
	for _, n := range networks.Items {
		if _, err := docker.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}); err != nil && !cerrdefs.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("remove network %s: %w", n.Name, err))
		}
	}
	return errors.Join(append(errs, leaveLinkLocal(ctx, docker))...)
}

func removeContainers(ctx context.Context, docker *client.Client, world string) error {
	list, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: worldFilter(world)})
	if err != nil {
		return fmt.Errorf("list the containers of world %s: %w", world, err)
	}
	errs := make([]error, len(list.Items))
	var wg sync.WaitGroup
	for i, c := range list.Items {
		wg.Go(func() {
			_, err := docker.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			if err != nil && !cerrdefs.IsNotFound(err) && !cerrdefs.IsConflict(err) { // a conflict: somebody else is removing it
				errs[i] = fmt.Errorf("remove container %s: %w", c.ID, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// leaveLinkLocal removes the link-local network once no world is left on the machine.
func leaveLinkLocal(ctx context.Context, docker *client.Client) error {
	worlds, err := docker.NetworkList(ctx, client.NetworkListOptions{Filters: make(client.Filters).Add("label", labelWorld)})
	if err != nil {
		return fmt.Errorf("list the networks of other worlds: %w", err)
	}
	if len(worlds.Items) > 0 {
		return nil
	}
	if _, err := docker.NetworkRemove(ctx, linkLocalName, client.NetworkRemoveOptions{}); err != nil && !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("remove network %s: %w", linkLocalName, err)
	}
	return nil
}

// newUUID is hard to guess: it is all that guards a task's credentials.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
