package stack

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/list/schema"
)

// ListResourceConfigSchema implements list.ListResource. What is listed is of the provider's account and Region.
func (s *Stack[M]) ListResourceConfigSchema(_ context.Context, _ list.ListResourceSchemaRequest, resp *list.ListResourceSchemaResponse) {
	resp.Schema = schema.Schema{MarkdownDescription: "Finds each `" + s.Kind.TypeName + "` that any configuration has made in the account and Region of the provider, by the tags of its task definition: what no state " +
		"remembers, for instance, to import it again. One whose newest revision others have registered without its tags is not found. `terraform query`, of Terraform 1.14 and later, runs such a block, which stands in a file " +
		"that ends in `.tfquery.hcl`; with `-generate-config-out=FILE` it writes an `import` block and a resource for each. Earlier versions and OpenTofu do not read such files. " +
		"The block `config` takes nothing and may be left out."}
}

// List implements list.ListResource.
func (s *Stack[M]) List(ctx context.Context, req list.ListRequest, stream *list.ListResultsStream) {
	stream.Results = func(push func(list.ListResult) bool) {
		var listed int64
		for id, err := range s.Client.OwnedNames(ctx, s.Kind.TypeName) {
			result := req.NewListResult(ctx)
			if err == nil {
				err = s.listed(ctx, id, req.IncludeResource, &result)
			}
			if err != nil {
				result.Diagnostics.AddError(s.Kind.Title+" was not listed", err.Error())
			}
			listed++
			if !push(result) || req.Limit > 0 && listed >= req.Limit {
				return
			}
		}
	}
}

// listed is a resource by the ID of an import.
func (s *Stack[M]) listed(ctx context.Context, id string, whole bool, result *list.ListResult) error {
	home, err := s.Client.Home(ctx)
	if err != nil {
		return err
	}
	result.DisplayName = id
	s.identity(ctx, s.Kind.Identity.Values(id), home.Account, home.Region, result.Identity)
	if !whole {
		return nil
	}
	m, err := s.Kind.Import(ctx, s.Client, id)
	if err != nil {
		return fmt.Errorf("read %s: %w", id, err)
	}
	result.Diagnostics.Append(result.Resource.Set(ctx, m)...)
	return nil
}
