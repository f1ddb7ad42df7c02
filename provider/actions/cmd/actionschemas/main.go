// Command actionschemas prints the schemas of the provider's actions as a Terraform prints them that has actions (1.14): the pages of
// the documentation are made with one that has none, and leaves them out. Exit codes: 0 printed, 1 an error.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/action"

	"github.com/consulecs/terraform-provider-consulecs/provider/actions"
)

type printed struct {
	Block printedBlock `json:"block"`
}

type printedBlock struct {
	Attributes  map[string]printedAttribute `json:"attributes"`
	Description string                      `json:"description"`
	Kind        string                      `json:"description_kind"`
}

type printedAttribute struct {
	Type        json.RawMessage `json:"type"`
	Description string          `json:"description"`
	Kind        string          `json:"description_kind"`
	Required    bool            `json:"required,omitempty"`
	Optional    bool            `json:"optional,omitempty"`
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "actionschemas:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	all := map[string]printed{}
	for _, constructor := range actions.All() {
		one := constructor()
		var name action.MetadataResponse
		one.Metadata(ctx, action.MetadataRequest{ProviderTypeName: "consulecs"}, &name)
		var schema action.SchemaResponse
		one.Schema(ctx, action.SchemaRequest{}, &schema)
		block := printedBlock{map[string]printedAttribute{}, schema.Schema.MarkdownDescription, "markdown"}
		for key, a := range schema.Schema.Attributes {
			typ, err := json.Marshal(a.GetType().TerraformType(ctx))
			if err != nil {
				return fmt.Errorf("print %s of action %s: %w", key, name.TypeName, err)
			}
			block.Attributes[key] = printedAttribute{typ, a.GetMarkdownDescription(), "markdown", a.IsRequired(), a.IsOptional()}
		}
		all[name.TypeName] = printed{block}
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}
