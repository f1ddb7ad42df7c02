package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// The pause container's image, built by make setup, and its name within a task, which no ECS container can have.
const (
	pauseImage = "localecs-pause:local"
	pauseName  = "~pause"
)

// A task of ECS has the kernel's own first port for users other than root unless its definition says another. Docker's is 0.
const portStart, kernelPortStart = "net.ipv4.ip_unprivileged_port_start", "1024"

// provision makes the pause container; the task's containers are created while it starts.
func (r *taskRun) provision(ctx context.Context) {
	id, err := r.e.createContainer(ctx, r.pauseOptions())
	if err == nil {
		r.post(func(s *state) { s.pauseID = id })
		err = retry(ctx, func() error {
			_, err := r.e.docker.ContainerStart(ctx, id, client.ContainerStartOptions{})
			return err
		})
	}
	if cerrdefs.IsNotFound(err) {
		err = fmt.Errorf("%w\nhint: make setup builds %s", err, pauseImage)
	}
	var plugged eni
	if err == nil {
		plugged, err = r.e.interfaceOf(ctx, id)
	}
	r.post(func(s *state) {
		s.progress, s.eni = up, plugged
		if err != nil {
			s.stop(ecstypes.TaskStopCodeTaskFailedToStart, "ResourceInitializationError: network interface: "+err.Error(), time.Now())
		}
	})
}

// interfaceOf reads the address that Docker gave a pause container.
func (e *Engine) interfaceOf(ctx context.Context, id string) (eni, error) {
	var found client.ContainerInspectResult
	err := retry(ctx, func() (err error) {
		found, err = e.docker.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		return err
	})
	if err != nil {
		return eni{}, err
	}
	if found.Container.NetworkSettings != nil {
		for _, ep := range found.Container.NetworkSettings.Networks {
			if ep.NetworkID == e.wiring.awsvpcID && ep.IPAddress.IsValid() {
				return eni{address: ep.IPAddress, mac: ep.MacAddress.String()}, nil
			}
		}
	}
	return eni{}, errors.New("the pause container has no address")
}

func (r *taskRun) pauseOptions() client.ContainerCreateOptions {
	name := worldNetworkName(r.e.cfg.World)
	host := &container.HostConfig{
		NetworkMode:    container.NetworkMode(name),
		ReadonlyRootfs: true,
		CapDrop:        []string{"ALL"},
		LogConfig:      container.LogConfig{Type: "json-file"},
		Sysctls:        map[string]string{portStart: kernelPortStart},
	}
	for _, m := range r.state.members {
		for _, c := range m.def.SystemControls {
			host.Sysctls[aws.ToString(c.Namespace)] = aws.ToString(c.Value)
		}
	}
	if r.state.task.Definition.IpcMode == ecstypes.IpcModeTask {
		host.IpcMode = container.IPCModeShareable
	}
	return client.ContainerCreateOptions{
		Name:       dockerName(r.e.cfg.World, r.state.task.ARN, "pause."), // no ECS name ends in a dot
		HostConfig: host,
		Config: &container.Config{Image: pauseImage, Labels: map[string]string{
			labelWorld: r.e.cfg.World, labelTask: r.state.task.ARN, labelContainer: pauseName, labelCredentials: r.credentialsID,
		}},
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{name: {NetworkID: r.e.wiring.awsvpcID}}},
	}
}

// prepare finds the images, makes the volumes and reads the secrets, all at once.
func (r *taskRun) prepare(ctx context.Context) {
	began := time.Now()
	r.post(func(s *state) { s.pullStarted = &began })
	var images map[string]string
	var secrets map[string][]string
	var imageErr, volumeErr, secretErr error
	if what := r.state.unavailable(); what != "" {
		secretErr = errors.New(what + ", which the local ECS does not have")
	} else {
		var wg sync.WaitGroup
		wg.Go(func() { images, imageErr = r.findImages(ctx) })
		wg.Go(func() { volumeErr = r.makeVolumes(ctx) })
		wg.Go(func() { secrets, secretErr = r.secrets(ctx) })
		wg.Wait()
	}
	r.post(func(s *state) {
		now := time.Now()
		s.prepared = true
		for _, m := range s.members {
			m.imageID = images[m.name()]
		}
		r.secretValues = secrets
		if imageErr == nil {
			s.pullStopped = &now
		}
		var reason string
		switch {
		case secretErr != nil:
			reason = "ResourceInitializationError: " + secretErr.Error()
		case volumeErr != nil:
			reason = "ResourceInitializationError: " + volumeErr.Error()
		case imageErr != nil:
			reason = "CannotPullContainerError: " + imageErr.Error()
		default:
			return
		}
		s.stop(ecstypes.TaskStopCodeTaskFailedToStart, reason, now)
	})
}

// secrets reads the secrets of every container, as NAME=value by container.
func (r *taskRun) secrets(ctx context.Context) (map[string][]string, error) {
	var froms []string
	for _, m := range r.state.members {
		for _, s := range m.def.Secrets {
			froms = append(froms, aws.ToString(s.ValueFrom))
		}
	}
	if len(froms) == 0 {
		return nil, nil
	}
	if r.state.task.ExecutionRoleARN == "" {
		return nil, errors.New("the task has secrets and no execution role")
	}
	role := r.e.emulator().Assume(r.state.task.ExecutionRoleARN, taskID(r.state.task.ARN))
	values, err := role.Secrets(ctx, froms)
	if err != nil {
		return nil, err
	}
	all := map[string][]string{}
	for _, m := range r.state.members {
		for _, s := range m.def.Secrets {
			all[m.name()] = append(all[m.name()], aws.ToString(s.Name)+"="+values[aws.ToString(s.ValueFrom)])
		}
	}
	return all, nil
}

// findImages returns the image ID by container. Nothing is pulled: what runs here is what was built here.
func (r *taskRun) findImages(ctx context.Context) (map[string]string, error) {
	ids := map[string]string{}
	byName := map[string]string{}
	for _, m := range r.state.members {
		name := aws.ToString(m.def.Image)
		if byName[name] == "" {
			var found client.ImageInspectResult
			err := retry(ctx, func() (err error) {
				found, err = r.e.docker.ImageInspect(ctx, name)
				return err
			})
			if cerrdefs.IsNotFound(err) {
				return nil, fmt.Errorf("image %s is not on this machine\nhint: docker pull or docker build it; the local ECS pulls nothing", name)
			}
			if err != nil {
				return nil, fmt.Errorf("look for image %s: %w", name, err)
			}
			byName[name] = found.ID
		}
		ids[m.name()] = byName[name]
	}
	return ids, nil
}

// makeVolumes makes the task's Docker volumes. Those shared among tasks stay until the world goes.
func (r *taskRun) makeVolumes(ctx context.Context) error {
	for name, v := range r.state.volumes(r.e.cfg.World) {
		if v.onHost {
			continue
		}
		labels := maps.Clone(v.extraLabels)
		if labels == nil {
			labels = map[string]string{}
		}
		labels[labelWorld] = r.e.cfg.World
		if !v.shared {
			labels[labelTask] = r.state.task.ARN
		}
		err := retry(ctx, func() error {
			_, err := r.e.docker.VolumeCreate(ctx, client.VolumeCreateOptions{Name: v.source, Driver: v.driver, DriverOpts: v.driverOpts, Labels: labels})
			return err
		})
		if err != nil {
			return fmt.Errorf("create volume %s: %w", name, err)
		}
	}
	return nil
}

// containerOptions adds to a container's definition what this engine gives it. The caller holds the lock.
func (r *taskRun) containerOptions(m *member) client.ContainerCreateOptions {
	base := fmt.Sprintf("http://%s:%d", linkLocalServer, r.e.wiring.port)
	injected := map[string]string{
		"ECS_CONTAINER_METADATA_URI_V4": base + "/v4/" + r.containerID(m),
		"AWS_REGION":                    r.e.cfg.Region,
		"AWS_DEFAULT_REGION":            r.e.cfg.Region,
		"AWS_EXECUTION_ENV":             "AWS_ECS_" + string(r.state.task.LaunchType),
	}
	if r.state.task.TaskRoleARN != "" {
		injected["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = base + "/v2/credentials/" + r.credentialsID
	}
	if r.e.cfg.APIURL != nil && r.e.cfg.APIURL() != "" {
		injected["AWS_ENDPOINT_URL"] = r.e.cfg.APIURL()
	}
	memory, _ := strconv.ParseInt(aws.ToString(r.state.task.Definition.Memory), 10, 64)
	if slices.ContainsFunc(m.def.Ulimits, func(u ecstypes.Ulimit) bool {
		return u.Name == ecstypes.UlimitNameNofile && int64(u.HardLimit) > r.e.noFile
	}) {
		r.e.clampOnce.Do(func() { r.e.log.Warn("open files limited to what this machine grants", "nofile", r.e.noFile) })
	}
	return r.state.options(m, surroundings{
		world: r.e.cfg.World, pauseID: r.state.pauseID, injected: injected, secrets: r.secretValues[m.name()],
		noFile: r.e.noFile, taskMemory: memory, idOf: func(name string) string { return r.state.find(name).id },
	})
}

// containerID names a container in its metadata URL: the task's ID and the container's place in the definition.
func (r *taskRun) containerID(m *member) string {
	i := slices.Index(r.state.inDefinitionOrder(), m)
	return taskID(r.state.task.ARN) + "-" + strconv.Itoa(i)
}

// createContainer creates a container, or finds the one that an earlier attempt created without hearing of it.
func (e *Engine) createContainer(ctx context.Context, opts client.ContainerCreateOptions) (id string, err error) {
	err = retry(ctx, func() error {
		made, err := e.docker.ContainerCreate(ctx, opts)
		id = made.ID
		return err
	})
	if !cerrdefs.IsConflict(err) {
		return id, err
	}
	found, inspectErr := e.docker.ContainerInspect(ctx, opts.Name, client.ContainerInspectOptions{})
	if inspectErr != nil || found.Container.Config == nil || found.Container.Config.Labels[labelTask] != opts.Config.Labels[labelTask] {
		return "", err
	}
	return found.Container.ID, nil
}

// teardown removes the task's containers and volumes. What Docker will not let go is left to the engine's sweep.
func (r *taskRun) teardown(ctx context.Context) {
	r.mu.Lock()
	members, pauseID := r.state.members, r.state.pauseID
	r.mu.Unlock()
	var wg sync.WaitGroup
	tails := make([][]byte, len(members))
	for i, m := range members {
		if m.id != "" {
			wg.Go(func() {
				tails[i], _ = r.e.readLogs(ctx, m, keptLogLines, keptLogBytes)
				r.e.removeContainer(ctx, m.id)
			})
		}
	}
	wg.Wait()
	if pauseID != "" {
		r.e.removeContainer(ctx, pauseID)
	}
	r.mu.Lock()
	for i, m := range members {
		r.logs[m.name()] = tails[i]
	}
	r.mu.Unlock()
	for _, v := range r.state.volumes(r.e.cfg.World) {
		if !v.onHost && !v.shared {
			r.removeVolume(ctx, v.source)
		}
	}
	r.post(func(s *state) {
		s.progress, s.stoppedAt = gone, aws.Time(time.Now())
		r.secretValues = nil
	})
}

func (r *taskRun) removeVolume(ctx context.Context, name string) {
	err := retry(ctx, func() error {
		_, err := r.e.docker.VolumeRemove(ctx, name, client.VolumeRemoveOptions{Force: true})
		return err
	})
	if err != nil && ctx.Err() == nil && !cerrdefs.IsNotFound(err) {
		r.log.Warn("volume not removed, the sweep will", "volume", name, "err", err)
	}
}

func (e *Engine) removeContainer(ctx context.Context, id string) {
	err := retry(ctx, func() error {
		_, err := e.docker.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		return err
	})
	if err != nil && ctx.Err() == nil && !cerrdefs.IsNotFound(err) {
		e.log.Warn("container not removed, the sweep will", "container_id", id, "err", err)
	}
}
