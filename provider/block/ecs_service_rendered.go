package block

import (
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Propagated is where the tasks of every service get their tags from: the controller knows them by the definition's.
const Propagated = ecstypes.PropagateTagsTaskDefinition

// RenderECSService is what no attribute of a resource says of its ECS service, as JSON: whether the tasks get the definition's tags
// and, where there are no attributes for them, the deployment settings and the load balancers of decided.
func RenderECSService(propagates ecstypes.PropagateTags, decided *ECSService) *string {
	type circuitBreaker struct {
		Enable   bool `json:"enable"`
		Rollback bool `json:"rollback"`
	}
	type deployment struct {
		CircuitBreaker        circuitBreaker `json:"deploymentCircuitBreaker"`
		MaximumPercent        int32          `json:"maximumPercent"`
		MinimumHealthyPercent int32          `json:"minimumHealthyPercent"`
	}
	rendered := struct {
		Deployment    *deployment            `json:"deploymentConfiguration,omitempty"`
		LoadBalancers []string               `json:"loadBalancers,omitempty"` // ARNs of their target groups
		PropagateTags ecstypes.PropagateTags `json:"propagateTags"`
	}{PropagateTags: propagates}
	if decided != nil {
		d := row.Value(decided.Deployment)
		breaker := row.Value(d.CircuitBreaker)
		rendered.Deployment = &deployment{
			circuitBreaker{row.Value(breaker.Enable), row.Value(breaker.Rollback)}, row.Value(d.MaximumPercent), row.Value(d.MinimumHealthyPercent),
		}
		for _, b := range decided.LoadBalancers {
			rendered.LoadBalancers = append(rendered.LoadBalancers, row.Value(b.TargetGroupArn))
		}
	}
	text, _ := json.Marshal(rendered) // texts, numbers and booleans are written
	return aws.String(string(text))
}
