package block_test

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/filled"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
)

// lost are the fields that are empty and not among those that may be; an exception that is none any more is lost, too.
func lost[T any](v *T, mayBe map[string]string) []string {
	var all []string
	excepted := map[string]bool{}
	for _, p := range filled.Places(v) {
		switch _, ok := mayBe[p.Path]; {
		case ok && p.Empty():
			excepted[p.Path] = true
		case p.Empty():
			all = append(all, p.Path)
		}
	}
	for path := range mayBe {
		if !excepted[path] {
			all = append(all, path+" (an exception, though it is set)")
		}
	}
	slices.Sort(all)
	return all
}

// TestEveryFieldOfAContainerDefinitionCanBeSet compares the block with the type of the SDK that goes to ECS: a field that AWS adds
// fails here until the block has it, and an import reads it.
func TestEveryFieldOfAContainerDefinitionCanBeSet(t *testing.T) {
	t.Parallel()
	m := filled.In(&block.Container{})
	m.Mesh = nil // the mesh's own
	definition := m.Spec().Definition
	for _, path := range lost(&definition, nil) {
		t.Errorf("a container block cannot set %s of ECS's container definition", path)
	}
	read := block.ReadContainers(&ecstypes.TaskDefinition{ContainerDefinitions: []ecstypes.ContainerDefinition{definition}}, agentconfig.Config{})
	read[0].Mesh = nil
	for _, path := range lost(&read[0], map[string]string{"Mesh": "the mesh's own"}) {
		t.Errorf("an import does not read %s", path)
	}
}

// notInTask are the fields of a registration that no task block sets, with the reasons.
var notInTask = map[string]string{
	"ProxyConfiguration":    "it is for App Mesh; the proxy of a task in the mesh is Consul's",
	"InferenceAccelerators": "AWS has ended them",
	"ContainerDefinitions":  "they have blocks of their own",
	"TaskRoleArn":           "iam sets it",
	"ExecutionRoleArn":      "iam sets it",
	"Tags":                  "tags sets them",
	"Volumes":               "the mesh's own volume is the first",
}

// TestEveryFieldOfATaskDefinitionCanBeSet is the same for what is beside the containers.
func TestEveryFieldOfATaskDefinitionCanBeSet(t *testing.T) {
	t.Parallel()
	m := filled.In(&block.Task{})
	definition, err := taskdef.Draft(taskdef.Spec{Family: "web", Task: m.Spec()})
	if err != nil {
		t.Fatal(err)
	}
	text, err := awsjson.Marshal(definition)
	var described ecstypes.TaskDefinition
	if err == nil {
		err = awsjson.Unmarshal(text, &described)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lost(&definition.Volumes[1], nil) {
		t.Errorf("a volume block cannot set %s of ECS's volumes", path)
	}
	definition.ContainerDefinitions, definition.Tags, definition.Volumes = nil, nil, nil
	for _, path := range lost(definition, notInTask) {
		t.Errorf("a task block cannot set %s of ECS's task definition", path)
	}
	described.Volumes[1].Name = aws.String("scratch")
	read := block.ReadTask(&described)
	for _, path := range lost(read, nil) {
		t.Errorf("an import does not read %s", path)
	}
}
