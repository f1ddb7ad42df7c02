package meshtask

import (
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
)

// importSidecars reads the settings of the injected containers as what sets them apart from those that the model without
// them would get.
func (m *model) importSidecars(d *ecstypes.TaskDefinition, def block.Defaults) {
	s := block.Sidecars{}
	is := block.Injected(d.ContainerDefinitions)
	first := is[mesh.ContainerMeshInit]
	if image := aws.ToString(first.Image); image != def.Image {
		s.Image = &image
	}
	s.LogConfiguration = block.ReadOwnLog(first.LogConfiguration, def.LogConfiguration.Spec())
	if first.RepositoryCredentials != nil {
		s.PullCredentialsSecretARN = first.RepositoryCredentials.CredentialsParameter
	}
	m.Sidecars = &s
	wouldBe := m.wouldBe(def)
	if _, has := is[mesh.ContainerMeshReady]; wouldBe != nil && has != (wouldBe[mesh.ContainerMeshReady].Name != nil) {
		s.ReadyGate = aws.String(string(taskdef.ReadyGateOff))
		if has {
			s.ReadyGate = aws.String(string(taskdef.ReadyGateOn))
		}
		wouldBe = m.wouldBe(def)
	}
	s.MeshInit = block.ReadSidecar(is[mesh.ContainerMeshInit], wouldBe[mesh.ContainerMeshInit])
	s.MeshReady = block.ReadSidecar(is[mesh.ContainerMeshReady], wouldBe[mesh.ContainerMeshReady])
	s.Dataplane = block.ReadStaying(is[mesh.ContainerDataplane], wouldBe[mesh.ContainerDataplane])
	s.HealthSync = block.ReadStaying(is[mesh.ContainerHealthSync], wouldBe[mesh.ContainerHealthSync])
	if reflect.DeepEqual(s, block.Sidecars{}) {
		m.Sidecars = nil
	}
}

// wouldBe are the injected containers that the model gets; nil if nothing can be built of it.
func (m *model) wouldBe(def block.Defaults) map[string]ecstypes.ContainerDefinition {
	definition, err := taskdef.Build(m.spec(def))
	if err != nil {
		return nil
	}
	return block.Injected(definition.ContainerDefinitions)
}
