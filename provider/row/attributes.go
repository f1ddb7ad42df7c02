// Package row holds what every schema of the provider is made of: rows of attributes, their validators, the translation between
// models and what they mirror, and values that are not known yet.
package row

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

type Attributes = map[string]schema.Attribute

func Text(description string, validators ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: validators}
}

func RequiredText(description string, validators ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{Required: true, MarkdownDescription: description, Validators: validators}
}

// FixedText is a required text whose change makes a new resource.
func FixedText(description string, validators ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{
		Required: true, MarkdownDescription: description, Validators: validators,
		PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
	}
}

func ComputedText(description string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

func Number(description string, validators ...validator.Int32) schema.Int32Attribute {
	return schema.Int32Attribute{Optional: true, MarkdownDescription: description, Validators: validators}
}

func RequiredNumber(description string, validators ...validator.Int32) schema.Int32Attribute {
	return schema.Int32Attribute{Required: true, MarkdownDescription: description, Validators: validators}
}

func Flag(description string) schema.BoolAttribute {
	return schema.BoolAttribute{Optional: true, MarkdownDescription: description}
}

func RequiredFlag(description string) schema.BoolAttribute {
	return schema.BoolAttribute{Required: true, MarkdownDescription: description}
}

func Texts(description string) schema.ListAttribute {
	return schema.ListAttribute{
		ElementType: types.StringType, Optional: true, MarkdownDescription: description, Validators: []validator.List{listvalidator.NoNullValues()},
	}
}

func RequiredTexts(description string) schema.ListAttribute {
	a := Texts(description)
	a.Optional, a.Required = false, true
	return a
}

func TextSet(description string, validators ...validator.Set) schema.SetAttribute {
	return schema.SetAttribute{
		ElementType: types.StringType, Optional: true, MarkdownDescription: description, Validators: append(validators, setvalidator.NoNullValues()),
	}
}

func RequiredTextSet(description string, validators ...validator.Set) schema.SetAttribute {
	a := TextSet(description, validators...)
	a.Optional, a.Required = false, true
	return a
}

// NumberSet is a set of whole numbers; decode refuses others. The framework's own types of whole numbers would refuse them
// first, inside sets as an error of the provider's.
func NumberSet(description string) schema.SetAttribute {
	a := TextSet(description)
	a.ElementType = types.NumberType
	return a
}

func TextMap(description string) schema.MapAttribute {
	return schema.MapAttribute{
		ElementType: types.StringType, Optional: true, MarkdownDescription: description, Validators: []validator.Map{mapvalidator.NoNullValues()},
	}
}

func Object(description string, fields Attributes) schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{Optional: true, MarkdownDescription: description, Attributes: fields}
}

func Objects(description string, fields Attributes, validators ...validator.List) schema.ListNestedAttribute {
	return schema.ListNestedAttribute{
		Optional: true, MarkdownDescription: description, Validators: validators,
		NestedObject: schema.NestedAttributeObject{Attributes: fields},
	}
}

func RequiredObjects(description string, fields Attributes) schema.ListNestedAttribute {
	a := Objects(description, fields, listvalidator.SizeAtLeast(1))
	a.Optional, a.Required = false, true
	return a
}

// OneOf admits the values of one of the SDK's enumerations.
func OneOf[E ~string](values ...E) validator.String {
	plain := make([]string, len(values))
	for i, v := range values {
		plain[i] = string(v)
	}
	return stringvalidator.OneOf(plain...)
}

func AtLeast(n int32) validator.Int32 { return int32validator.AtLeast(n) }

// Nonzero is a number that cannot be 0, which the generators take for not said.
func Nonzero(description string) schema.Int32Attribute { return Number(description, notZero{}) }

func Between(low, high int32) validator.Int32 { return int32validator.Between(low, high) }
