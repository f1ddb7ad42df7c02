package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// importID is the ID of an import: family, family:revision, cluster/service, or an ARN of the one or the other.
type importID struct {
	definition string // family or family:revision; "" for a service
	ecsCluster string // as the user wrote it, but for an ARN of a service: then the name
	service    string
}

func parseImportID(id string) (importID, error) {
	short := id
	if strings.HasPrefix(id, "arn:") {
		_, short, _ = strings.Cut(id, "/")
	}
	first, second, isService := strings.Cut(short, "/")
	switch {
	case id == "" || first == "" || isService && second == "":
		return importID{}, fmt.Errorf("the ID is %q, want family, family:revision, cluster/service or an ARN of a task definition or an ECS service", id)
	case isService:
		return importID{ecsCluster: first, service: second}, nil
	default:
		return importID{definition: first}, nil
	}
}

// importService reads the ECS service that an ID names.
func (c *client) importService(ctx context.Context, id importID) (*ecsServiceModel, *ecstypes.Service, error) {
	found, err := c.findService(ctx, id.ecsCluster, id.service)
	if err != nil {
		return nil, nil, err
	}
	if found == nil {
		return nil, nil, fmt.Errorf("ECS cluster %s has no service %s", id.ecsCluster, id.service)
	}
	m := &ecsServiceModel{
		Cluster: found.ClusterArn, Name: &id.service, DesiredCount: &found.DesiredCount,
		networkModel: networkModel{CapacityProviderStrategy: []capacityProviderModel{}},
	}
	if found.LaunchType != "" {
		m.LaunchType = aws.String(string(found.LaunchType))
	}
	m.refresh(*found)
	if len(m.CapacityProviderStrategy) == 0 {
		m.CapacityProviderStrategy = nil
	} else {
		m.LaunchType = nil
	}
	return m, found, nil
}
