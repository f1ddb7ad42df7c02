package incumbent

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// ControllerService is the name that the module controller gives each of its ECS services.
const ControllerService = "consul-ecs-controller"

// Controller is the controller as the module controller defines it.
type Controller struct {
	Prefix         string // the module's name_prefix
	TokenSecretARN string
	Servers        Servers
	Image          string
	Env            []ecstypes.KeyValuePair // which on AWS is none
	Roles
}

func (c Controller) family() string { return c.Prefix + "-consul-ecs-controller" }

// Definition is the module's task definition, which has no tags.
func (c Controller) Definition() *ecs.RegisterTaskDefinitionInput {
	config := text(object{
		"bootstrapDir":  "/consul",
		"consulServers": c.Servers.config(),
		"controller":    object{"iamRolePath": Path, "partition": "", "partitionsEnabled": false},
	})
	secrets := []ecstypes.Secret{{Name: aws.String("CONSUL_HTTP_TOKEN"), ValueFrom: &c.TokenSecretARN}}
	if ca := c.Servers.CASecretARN; ca != "" {
		secrets = append(secrets, ecstypes.Secret{Name: aws.String("CONSUL_GRPC_CACERT_PEM"), ValueFrom: &ca}, ecstypes.Secret{Name: aws.String("CONSUL_HTTPS_CACERT_PEM"), ValueFrom: &ca})
	}
	return &ecs.RegisterTaskDefinitionInput{
		Family: aws.String(c.family()), NetworkMode: ecstypes.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []ecstypes.Compatibility{ecstypes.CompatibilityEc2, ecstypes.CompatibilityFargate},
		TaskRoleArn:             &c.TaskRole, ExecutionRoleArn: &c.ExecutionRole,
		ContainerDefinitions: []ecstypes.ContainerDefinition{{
			Name: aws.String("consul-ecs-controller"), Image: &c.Image, Essential: aws.Bool(true), Command: []string{"controller"},
			LinuxParameters: &ecstypes.LinuxParameters{InitProcessEnabled: aws.Bool(true)}, ReadonlyRootFilesystem: aws.Bool(true), Secrets: secrets,
			Environment: append([]ecstypes.KeyValuePair{{Name: aws.String("CONSUL_ECS_CONFIG_JSON"), Value: &config}}, c.Env...),
		}},
	}
}
