// Package row holds what every schema of the provider is made of: rows of attributes, their validators, the translation between
// models and what they mirror, and values that are not known yet.
package row

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework-validators/int32validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// The schemas are tables of these rows. What has fields of its own is a block, since Terraform drops unknown keys of nested
// attributes without a word. An attribute is optional unless its row says required or computed; no row has a default of
// Terraform's, because a default inside an absent object is not applied: defaults live in the generators.

// Fields is a table of rows by name: a schema.Attribute or a schema.Block each.
type Fields map[string]Field

// Field is what attributes and blocks have in common.
type Field interface{ GetMarkdownDescription() string }

// Split parts the attributes from the blocks.
func (f Fields) Split() (map[string]schema.Attribute, map[string]schema.Block) {
	attributes, blocks := map[string]schema.Attribute{}, map[string]schema.Block{}
	for name, field := range f {
		switch field := field.(type) {
		case schema.Attribute:
			attributes[name] = field
		case schema.Block:
			blocks[name] = field
		default:
			panic(fmt.Sprintf("internal error: %s is %T, neither an attribute nor a block", name, field))
		}
	}
	return attributes, blocks
}

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

// SensitiveText is a computed text that repeats values which their author may have marked sensitive.
func SensitiveText(description string) schema.StringAttribute {
	a := ComputedText(description)
	a.Sensitive = true
	return a
}

// HiddenText is a text that no output shows.
func HiddenText(description string, validators ...validator.String) schema.StringAttribute {
	a := Text(description, validators...)
	a.Sensitive = true
	return a
}

func ComputedTexts(description string) schema.MapAttribute {
	return schema.MapAttribute{ElementType: types.StringType, Computed: true, MarkdownDescription: description}
}

func Number(description string, validators ...validator.Int32) schema.Int32Attribute {
	return schema.Int32Attribute{CustomType: wholeType{}, Optional: true, MarkdownDescription: description, Validators: validators}
}

// Decimal is a number that may have a fraction.
func Decimal(description string, validators ...validator.Float64) schema.Float64Attribute {
	return schema.Float64Attribute{Optional: true, MarkdownDescription: description, Validators: validators}
}

func RequiredNumber(description string, validators ...validator.Int32) schema.Int32Attribute {
	return schema.Int32Attribute{CustomType: wholeType{}, Required: true, MarkdownDescription: description, Validators: validators}
}

func Flag(description string) schema.BoolAttribute {
	return schema.BoolAttribute{Optional: true, MarkdownDescription: description}
}

func RequiredFlag(description string) schema.BoolAttribute {
	return schema.BoolAttribute{Required: true, MarkdownDescription: description}
}

func Texts(description string) schema.ListAttribute {
	return schema.ListAttribute{
		ElementType: types.StringType, Optional: true, MarkdownDescription: description, Validators: []validator.List{noNulls{}},
	}
}

func RequiredTexts(description string) schema.ListAttribute {
	a := Texts(description)
	a.Optional, a.Required = false, true
	return a
}

func TextSet(description string, validators ...validator.Set) schema.SetAttribute {
	return schema.SetAttribute{
		ElementType: types.StringType, Optional: true, MarkdownDescription: description, Validators: append(validators, noNulls{}),
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

// UnsignedSet is a set of numbers of 32 bits without a sign.
func UnsignedSet(description string) schema.SetAttribute {
	a := NumberSet(description)
	a.ElementType = unsignedType{}
	return a
}

// Numbers is a list of them.
func Numbers(description string) schema.ListAttribute {
	a := Texts(description)
	a.ElementType = types.NumberType
	return a
}

func TextMap(description string) schema.MapAttribute {
	return schema.MapAttribute{
		ElementType: types.StringType, Optional: true, MarkdownDescription: description, Validators: []validator.Map{noNulls{}},
	}
}

// Schema is that of a resource.
func Schema(description string, fields Fields) schema.Schema {
	attributes, blocks := fields.Split()
	return schema.Schema{MarkdownDescription: description, Attributes: attributes, Blocks: blocks}
}

// Object is a block that may be written once. The framework asks for the required attributes of a block that is left out, too, so
// the block itself asks for them.
func Object(description string, fields Fields) schema.SingleNestedBlock {
	attributes, blocks := fields.Split()
	var required Requires
	for name, a := range attributes {
		if a.IsRequired() {
			required, attributes[name] = append(required, name), optional(a)
		}
	}
	slices.Sort(required)
	return schema.SingleNestedBlock{
		MarkdownDescription: description, Attributes: attributes, Blocks: blocks, Validators: []validator.Object{required}, CustomType: typeOf(attributes, blocks),
	}
}

// typeOf is the type of a block. The framework would work it out anew from the whole schema below for each value that it looks at.
func typeOf(attributes map[string]schema.Attribute, blocks map[string]schema.Block) types.ObjectType {
	all := map[string]attr.Type{}
	for name, a := range attributes {
		all[name] = a.GetType()
	}
	for name, b := range blocks {
		all[name] = b.Type()
	}
	return types.ObjectType{AttrTypes: all}
}

// optional is the attribute without its mark, which its description bears instead. The types of attributes have the fields of these
// names in common, and no setters.
func optional(required schema.Attribute) schema.Attribute {
	a := reflect.New(reflect.TypeOf(required)).Elem()
	a.Set(reflect.ValueOf(required))
	a.FieldByName("Required").SetBool(false)
	a.FieldByName("Optional").SetBool(true)
	a.FieldByName("MarkdownDescription").SetString(required.GetMarkdownDescription() + " Required.")
	return a.Interface().(schema.Attribute)
}

// Objects is a block that may be written many times.
func Objects(description string, fields Fields) schema.ListNestedBlock {
	attributes, blocks := fields.Split()
	return schema.ListNestedBlock{
		MarkdownDescription: description, NestedObject: schema.NestedBlockObject{Attributes: attributes, Blocks: blocks, CustomType: typeOf(attributes, blocks)},
	}
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

// IsRequired reports whether a schema asks for the attribute at a place.
func IsRequired(of schema.Schema, at problem.Path) bool {
	attributes, blocks, asked := of.Attributes, of.Blocks, Requires(nil)
	for _, step := range at {
		name, isName := step.(string)
		if !isName { // an index into the blocks of one name
			continue
		}
		switch b := blocks[name].(type) {
		case schema.SingleNestedBlock:
			attributes, blocks, asked = b.Attributes, b.Blocks, nil
			for _, v := range b.Validators {
				if r, ok := v.(Requires); ok {
					asked = r
				}
			}
		case schema.ListNestedBlock:
			attributes, blocks, asked = b.NestedObject.Attributes, b.NestedObject.Blocks, nil
		default:
			a, ok := attributes[name]
			return ok && (a.IsRequired() || slices.Contains(asked, name))
		}
	}
	return false
}
