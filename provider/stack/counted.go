package stack

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"

	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// counted is the service with the desired count of the configuration. A plan may keep one that is left to others, which may have
// changed since: an update must not say it.
func (s *Stack[M]) counted(ctx context.Context, service *block.ECSService, config tfsdk.Config, diags *diag.Diagnostics) *block.ECSService {
	var asked M
	if _, ok := row.Decode(ctx, config, &asked, diags); !ok {
		return service
	}
	return service.WithCountOf(s.Kind.Parts(&asked).Service)
}
