package taskdef

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Definition is what ECS registers.
type Definition = ecs.RegisterTaskDefinitionInput

// Size of a task where the user names none: the smallest that leaves the application most of it.
const (
	defaultCPU    = 256
	defaultMemory = 512
)

// DefaultControllerFamily is the task family of a controller whose user names none.
const DefaultControllerFamily = mesh.ContainerController

// Build makes the task definition of a mesh task. The error holds everything that Check finds.
func Build(s Spec) (*Definition, error) {
	if err := Check(s).Err(); err != nil {
		return nil, fmt.Errorf("build task definition %s: %w", s.Family, err)
	}
	return s.definition()
}

// BuildController makes the task definition of a controller. The error holds everything that CheckController finds.
func BuildController(s ControllerSpec) (*Definition, error) {
	if err := CheckController(s).Err(); err != nil {
		return nil, fmt.Errorf("build task definition %s: %w", s.family(), err)
	}
	return s.definition()
}

// Draft makes what is known of the task definition of a mesh task, some of whose values are not known yet and left out.
func Draft(s Spec) (*Definition, error) { return s.definition() }

// DraftController is Draft for a controller.
func DraftController(s ControllerSpec) (*Definition, error) { return s.definition() }

// definition builds whatever s says, right or wrong.
func (s Spec) definition() (*Definition, error) {
	config, err := agentconfig.Marshal(AgentConfig(s))
	if err != nil {
		return nil, err
	}
	d := s.Task.frame(s.Family, s.TaskRoleARN, s.ExecutionRoleARN)
	d.Volumes = append([]ecstypes.Volume{{Name: aws.String(mesh.VolumeName)}}, s.Task.Volumes...)
	for _, c := range s.Containers {
		d.ContainerDefinitions = append(d.ContainerDefinitions, s.userContainer(c))
	}
	d.ContainerDefinitions = append(d.ContainerDefinitions, s.injected(string(config))...)
	d.Tags = tags(s.Tags, s.meshTags())
	return d, nil
}

// userContainer is the user's container with the changes that the mesh makes: it starts when the proxy serves and the log
// router is there, and its end is delayed if asked for.
func (s Spec) userContainer(c Container) ecstypes.ContainerDefinition {
	d := s.afterRouter(c.Definition)
	if c.delays() {
		d = delayed(d, c.ShutdownDelay)
	}
	switch {
	case !c.waitsForProxy():
		return d
	case s.hasReadyGate():
		return afterAll(d, after(mesh.ContainerMeshReady, ecstypes.ContainerConditionSuccess),
			after(mesh.ContainerDataplane, ecstypes.ContainerConditionStart)) // so that the dataplane stops after it
	default:
		return afterAll(d, after(mesh.ContainerDataplane, ecstypes.ContainerConditionHealthy))
	}
}

// meshTags are the tags that controllers, ours and the incumbent's, know a mesh task by.
func (s Spec) meshTags() map[string]string {
	found := map[string]string{
		mesh.TaskTagMesh:          "true",
		mesh.TaskTagServiceName:   mesh.ServiceName(s.Service.Name, s.Family),
		mesh.TaskTagModule:        s.Module.Name,
		mesh.TaskTagModuleVersion: s.Module.Version,
		mesh.TaskTagPartition:     s.Service.Partition,
		mesh.TaskTagNamespace:     s.Service.Namespace,
	}
	maps.DeleteFunc(found, func(_, value string) bool { return value == "" })
	return found
}

func (s ControllerSpec) definition() (*Definition, error) {
	config, err := agentconfig.Marshal(ControllerAgentConfig(s))
	if err != nil {
		return nil, err
	}
	settings := s.Container
	settings.Image = cmp.Or(settings.Image, s.Image)
	c := agentContainer(mesh.ContainerController, settings, reserveController, s.PullCredentialsSecretARN)
	c.Command = []string{mesh.CommandController}
	c.User = uid(mesh.UIDHealthSync) // any but root: it shares its task with nobody
	c.Environment = withConfig(string(config), c.Environment)
	c.Secrets = s.Servers.secrets()
	if s.TokenSecretARN != "" {
		c.Secrets = append([]ecstypes.Secret{secret(mesh.VariableToken, s.TokenSecretARN)}, c.Secrets...)
	}
	stays(&c, settings, cmp.Or(settings.StopTimeout, defaultStopTimeout))

	d := s.Task.frame(s.family(), s.TaskRoleARN, s.ExecutionRoleARN)
	d.Volumes = s.Task.Volumes
	d.ContainerDefinitions = []ecstypes.ContainerDefinition{c}
	d.Tags = tags(s.Tags, nil)
	return d, nil
}

func (s ControllerSpec) family() string { return cmp.Or(s.Family, DefaultControllerFamily) }

// Frame is the definition of a task that is not in the mesh, without its containers.
func Frame(s Spec) *Definition {
	d := s.Task.frame(s.Family, s.TaskRoleARN, s.ExecutionRoleARN)
	d.Volumes, d.Tags = s.Task.Volumes, tags(s.Tags, nil)
	return d
}

// frame is the definition without its containers.
func (t Task) frame(family, taskRoleARN, executionRoleARN string) *Definition {
	d := &Definition{
		Family:                  &family,
		NetworkMode:             ecstypes.NetworkModeAwsvpc,
		RequiresCompatibilities: t.launchTypes(),
		Cpu:                     aws.String(strconv.Itoa(t.cpu())),
		Memory:                  aws.String(strconv.Itoa(t.memory())),
		RuntimePlatform:         t.RuntimePlatform,
		PidMode:                 t.PIDMode,
		IpcMode:                 t.IPCMode,
		EnableFaultInjection:    t.EnableFaultInjection,
		PlacementConstraints:    t.PlacementConstraints,
		TaskRoleArn:             optional(taskRoleARN),
		ExecutionRoleArn:        optional(executionRoleARN),
	}
	if t.EphemeralStorageGiB > 0 {
		d.EphemeralStorage = &ecstypes.EphemeralStorage{SizeInGiB: int32(t.EphemeralStorageGiB)}
	}
	return d
}

func (t Task) cpu() int    { return cmp.Or(t.CPU, defaultCPU) }
func (t Task) memory() int { return cmp.Or(t.Memory, defaultMemory) }

// tags lists the user's tags overlaid by the mesh's, in the order of keys.
func tags(own, overlay map[string]string) []ecstypes.Tag {
	all := maps.Clone(own)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, overlay)
	var list []ecstypes.Tag
	for _, key := range slices.Sorted(maps.Keys(all)) {
		list = append(list, ecstypes.Tag{Key: aws.String(key), Value: aws.String(all[key])})
	}
	return list
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
