package provider

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// ValidateResourceConfig implements tfprotov6.ProviderServer. What is said of an attribute in a block that may be repeated has
// an index in it, though its author may have written the block once: there it is named as in the configuration. The place of the
// diagnostic stays, by which Terraform finds the line.
func (s server) ValidateResourceConfig(ctx context.Context, req *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	resp, err := s.validated(ctx, req)
	if err != nil || len(resp.Diagnostics) == 0 {
		return resp, err
	}
	schemas, err := s.schemas()
	if err != nil {
		return nil, err
	}
	schema, ok := schemas.ResourceSchemas[req.TypeName]
	if !ok {
		return resp, nil
	}
	config, err := req.Config.Unmarshal(schema.ValueType())
	if err != nil { // of which that has told
		return resp, nil
	}
	for _, d := range resp.Diagnostics {
		if d.Attribute == nil {
			continue
		}
		if written, spoken := row.Names(config, d.Attribute); spoken != written { // what is said may name other attributes of the block, too
			d.Summary, d.Detail = strings.ReplaceAll(d.Summary, written, spoken), strings.ReplaceAll(d.Detail, written, spoken)
		}
	}
	return resp, nil
}
