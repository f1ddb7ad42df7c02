// Package functions holds the provider's functions. They are pure and work offline: they know their arguments and nothing else, not
// even the provider's configuration. What they render is what the resources would make, by the same code.
package functions

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// All are the functions of the provider of the given version.
func All(version string) []func() function.Function {
	var all []func() function.Function
	for _, f := range []pure{
		containerDefinitions(version), taskTags(version), agentConfig(), parseContainerDefinitions(), serviceID(), proxyID(), taskRoleTags(),
		fromAppMesh(), fromServiceConnect(),
	} {
		all = append(all, func() function.Function { return f })
	}
	return all
}

// pure is a function as Terraform sees it. No parameter takes a null or a value that is not known: Terraform refuses the one, and
// makes a result that is not known of the other, without a call.
type pure struct {
	name string
	what function.Definition
	run  func(context.Context, function.ArgumentsData, *function.ResultData) *function.FuncError
}

// Metadata implements function.Function.
func (f pure) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = f.name
}

// Definition implements function.Function.
func (f pure) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = f.what
}

// Run implements function.Function.
func (f pure) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	resp.Error = f.run(ctx, req.Arguments, &resp.Result)
}

// object is a parameter without a type of its own: an object, whose fields the function checks.
func object(name, description string) function.DynamicParameter {
	return function.DynamicParameter{Name: name, MarkdownDescription: description}
}

func text(name, description string) function.StringParameter {
	return function.StringParameter{Name: name, MarkdownDescription: description}
}

// texts is what a function returns that makes a map of texts.
var texts = function.MapReturn{ElementType: types.StringType}

// argument is the first argument as Terraform has it. It is not known if a part of it is not: OpenTofu calls a function all the same.
func argument(ctx context.Context, from function.ArgumentsData) (value tftypes.Value, known bool, problem *function.FuncError) {
	var dynamic types.Dynamic
	if problem = from.Get(ctx, &dynamic); problem != nil {
		return value, false, problem
	}
	value, err := dynamic.ToTerraformValue(ctx)
	if err != nil {
		return value, false, refusal(0, err.Error())
	}
	return value, value.IsFullyKnown(), nil
}

func refusal(argument int64, text string) *function.FuncError {
	return function.NewArgumentFuncError(argument, text)
}

// refusalOf says what is wrong with the first argument; nil where nothing is. A function has no warnings.
func refusalOf(diags diag.Diagnostics) *function.FuncError {
	var all *function.FuncError
	for _, d := range diags.Errors() {
		all = function.ConcatFuncErrors(all, refusal(0, d.Detail()))
	}
	return all
}
