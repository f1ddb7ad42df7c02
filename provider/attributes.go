package provider

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/int32validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// The schemas are tables of these rows. An attribute is optional unless its row says required or computed; no row has a
// default of Terraform's, because a default inside an absent object is not applied: defaults live in the generators.

type attributes = map[string]schema.Attribute

func text(description string, validators ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: validators}
}

func requiredText(description string, validators ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{Required: true, MarkdownDescription: description, Validators: validators}
}

// fixedText is a required text whose change makes a new resource.
func fixedText(description string, validators ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{
		Required: true, MarkdownDescription: description, Validators: validators,
		PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
	}
}

func computedText(description string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

func number(description string, validators ...validator.Int32) schema.Int32Attribute {
	return schema.Int32Attribute{Optional: true, MarkdownDescription: description, Validators: validators}
}

func requiredNumber(description string, validators ...validator.Int32) schema.Int32Attribute {
	return schema.Int32Attribute{Required: true, MarkdownDescription: description, Validators: validators}
}

func flag(description string) schema.BoolAttribute {
	return schema.BoolAttribute{Optional: true, MarkdownDescription: description}
}

func requiredFlag(description string) schema.BoolAttribute {
	return schema.BoolAttribute{Required: true, MarkdownDescription: description}
}

func texts(description string) schema.ListAttribute {
	return schema.ListAttribute{
		ElementType: types.StringType, Optional: true, MarkdownDescription: description, Validators: []validator.List{listvalidator.NoNullValues()},
	}
}

func requiredTexts(description string) schema.ListAttribute {
	a := texts(description)
	a.Optional, a.Required = false, true
	return a
}

func textSet(description string, validators ...validator.Set) schema.SetAttribute {
	return schema.SetAttribute{
		ElementType: types.StringType, Optional: true, MarkdownDescription: description, Validators: append(validators, setvalidator.NoNullValues()),
	}
}

func requiredTextSet(description string, validators ...validator.Set) schema.SetAttribute {
	a := textSet(description, validators...)
	a.Optional, a.Required = false, true
	return a
}

// numberSet is a set of whole numbers; decode refuses others. The framework's own types of whole numbers would refuse them
// first, inside sets as an error of the provider's.
func numberSet(description string) schema.SetAttribute {
	a := textSet(description)
	a.ElementType = types.NumberType
	return a
}

func textMap(description string) schema.MapAttribute {
	return schema.MapAttribute{
		ElementType: types.StringType, Optional: true, MarkdownDescription: description, Validators: []validator.Map{mapvalidator.NoNullValues()},
	}
}

func object(description string, fields attributes) schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{Optional: true, MarkdownDescription: description, Attributes: fields}
}

func objects(description string, fields attributes, validators ...validator.List) schema.ListNestedAttribute {
	return schema.ListNestedAttribute{
		Optional: true, MarkdownDescription: description, Validators: validators,
		NestedObject: schema.NestedAttributeObject{Attributes: fields},
	}
}

func requiredObjects(description string, fields attributes) schema.ListNestedAttribute {
	a := objects(description, fields, listvalidator.SizeAtLeast(1))
	a.Optional, a.Required = false, true
	return a
}

// oneOf admits the values of one of the SDK's enumerations.
func oneOf[E ~string](values ...E) validator.String {
	plain := make([]string, len(values))
	for i, v := range values {
		plain[i] = string(v)
	}
	return stringvalidator.OneOf(plain...)
}

func atLeast(n int32) validator.Int32 { return int32validator.AtLeast(n) }

// nonzero is a number that cannot be 0, which the generators take for not said.
func nonzero(description string) schema.Int32Attribute { return number(description, notZero{}) }

func between(low, high int32) validator.Int32 { return int32validator.Between(low, high) }
