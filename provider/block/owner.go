package block

import (
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// AdoptExistingRow is the leave to take over what others made.
func AdoptExistingRow() schema.BoolAttribute {
	return row.Flag("Take over the roles and the ECS service that have the names already, whoever made them, as after a create that was cut off; from then on they are the resource's, and a destroy deletes them. The plan names them. A managed policy that the incumbent's module made for such a role alone goes, as the role's own policy takes its place. Default `false`: the plan refuses them.")
}

// OwnerIDRow is the computed ID by which a resource knows what is its own.
func OwnerIDRow() schema.StringAttribute {
	return row.ComputedText("Random ID of the resource, made with it. Roles carry it as the tag `consul.hashicorp.com.owner-id`, task definitions and the ECS service as `consul.hashicorp.com/owner-id`; what bears another one is never changed.")
}
