package block

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// EcsClusterName is the name in a name or an ARN of an ECS cluster.
func EcsClusterName(nameOrARN string) string {
	return nameOrARN[strings.LastIndexByte(nameOrARN, '/')+1:]
}

// ECSClusterARN is the ARN of an ECS cluster of the provider's account and region, of which a name or an ARN is given.
func ECSClusterARN(nameOrARN string, home iamrole.Home) string {
	if strings.HasPrefix(nameOrARN, "arn:") {
		return nameOrARN
	}
	return fmt.Sprintf("arn:%s:ecs:%s:%s:cluster/%s", home.Partition, home.Region, home.Account, nameOrARN)
}

// sameECSCluster reports whether two spellings, names or ARNs, mean one cluster of the provider's account and region.
func sameECSCluster(a, b string) bool {
	if strings.HasPrefix(a, "arn:") == strings.HasPrefix(b, "arn:") {
		return a == b
	}
	return EcsClusterName(a) == EcsClusterName(b)
}

// ECSClusterRow is a required ECS cluster, by name or ARN.
func ECSClusterRow(description string, then ...planmodifier.String) schema.StringAttribute {
	a := row.RequiredText(description)
	a.PlanModifiers = append([]planmodifier.String{oneECSCluster{}}, then...)
	return a
}

// oneECSCluster keeps the spelling of the state while it means the same cluster.
type oneECSCluster struct{}

func (oneECSCluster) Description(context.Context) string {
	return "a name and an ARN of one cluster are the same"
}

func (o oneECSCluster) MarkdownDescription(ctx context.Context) string { return o.Description(ctx) }

func (oneECSCluster) PlanModifyString(_ context.Context, req planmodifier.StringRequest, resp *planmodifier.StringResponse) {
	if req.StateValue.IsNull() || req.PlanValue.IsNull() || req.PlanValue.IsUnknown() {
		return
	}
	if sameECSCluster(req.StateValue.ValueString(), req.PlanValue.ValueString()) {
		resp.PlanValue = req.StateValue
	}
}
