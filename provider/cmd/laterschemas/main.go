// Command laterschemas prints those of the provider's schemas that a Terraform before 1.14 leaves out, the actions' and the list
// resources', as a later one prints them: the pages of the documentation are made with such an earlier one. Exit codes: 0 printed,
// 1 an error.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/consulecs/terraform-provider-consulecs/provider"
)

// schemas are named as in what terraform providers schema -json prints.
type schemas struct {
	Actions map[string]printed `json:"action_schemas"`
	Lists   map[string]printed `json:"list_resource_schemas"`
}

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
		fmt.Fprintln(os.Stderr, "laterschemas:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	got, err := provider.Server("dev").GetProviderSchema(ctx, &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		return err
	}
	for _, d := range got.Diagnostics {
		return fmt.Errorf("read the schema: %s: %s", d.Summary, d.Detail)
	}
	all := schemas{Actions: map[string]printed{}, Lists: map[string]printed{}}
	for name, action := range got.ActionSchemas {
		if all.Actions[name], err = asPrinted(action.Schema); err != nil {
			return fmt.Errorf("print action %s: %w", name, err)
		}
	}
	for name, schema := range got.ListResourceSchemas {
		if all.Lists[name], err = asPrinted(schema); err != nil {
			return fmt.Errorf("print list resource %s: %w", name, err)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}

func asPrinted(schema *tfprotov6.Schema) (printed, error) {
	if n := len(schema.Block.BlockTypes); n > 0 {
		return printed{}, fmt.Errorf("has %d blocks, of which this command knows nothing", n)
	}
	block := printedBlock{map[string]printedAttribute{}, schema.Block.Description, "markdown"}
	for _, a := range schema.Block.Attributes {
		typ, err := json.Marshal(a.Type)
		if err != nil {
			return printed{}, fmt.Errorf("attribute %s: %w", a.Name, err)
		}
		block.Attributes[a.Name] = printedAttribute{typ, a.Description, "markdown", a.Required, a.Optional}
	}
	return printed{block}, nil
}
