package shortcut

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Validate validates a configuration. Where there is nothing to say, nobody else is asked; whatever there is to say, the framework
// says it, called by through.
func (k *Kind) Validate(ctx context.Context, req *tfprotov6.ValidateResourceConfigRequest, through func(context.Context, *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error)) (*tfprotov6.ValidateResourceConfigResponse, error) {
	raw, ok := k.decode(req.Config)
	asked, isAsked := k.make().(resource.ResourceWithValidateConfig)
	if !ok || !isAsked || raw.IsNull() {
		return through(ctx, req)
	}
	config := tfsdk.Config{Raw: raw, Schema: k.schema}
	if !(validation{ctx, config}).object(k.checked, path.Empty(), raw) {
		return through(ctx, req)
	}
	var said resource.ValidateConfigResponse
	if asked.ValidateConfig(ctx, resource.ValidateConfigRequest{Config: config}, &said); len(said.Diagnostics) > 0 {
		return through(ctx, req)
	}
	return &tfprotov6.ValidateResourceConfigResponse{}, nil
}

// checked is an attribute or block that may be wrong, or the root.
type checked struct {
	name                   string
	isBlock, list          bool
	required, computedOnly bool
	asked                  row.Requires
	check                  check // nil: nothing validates it

	below []*checked
}

// check reports whether the validators have nothing to say of a value.
type check func(v validation, at path.Path, value tftypes.Value) bool

func prepareChecks(attributes map[string]schema.Attribute, blocks map[string]schema.Block) (*checked, error) {
	all := &checked{isBlock: true}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		does, err := validated(a)
		if err == nil && (a.GetDeprecationMessage() != "" || !a.IsRequired() && !a.IsOptional() && !a.IsComputed()) {
			err = errors.New("what is deprecated, or nothing at all, is not known")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		c := &checked{name: name, required: a.IsRequired(), computedOnly: a.IsComputed() && !a.IsOptional(), check: does}
		if c.required || c.computedOnly || c.check != nil {
			all.below = append(all.below, c)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(blocks)) {
		b, err := prepareBlockChecks(blocks[name])
		if err == nil && blocks[name].GetDeprecationMessage() != "" {
			err = errors.New("what is deprecated is not known")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if b.name = name; len(b.below) > 0 || len(b.asked) > 0 {
			all.below = append(all.below, b)
		}
	}
	return all, nil
}

func prepareBlockChecks(b schema.Block) (*checked, error) {
	switch b := b.(type) {
	case schema.SingleNestedBlock:
		c, err := prepareChecks(b.Attributes, b.Blocks)
		if err != nil {
			return nil, err
		}
		for _, v := range b.Validators {
			asked, ok := v.(row.Requires)
			if !ok {
				return nil, fmt.Errorf("validators of %T are not known", v)
			}
			c.asked = append(c.asked, asked...)
		}
		return c, nil
	case schema.ListNestedBlock:
		if len(b.Validators) > 0 || len(b.NestedObject.Validators) > 0 {
			return nil, errors.New("validators of lists of blocks are not known")
		}
		c, err := prepareChecks(b.NestedObject.Attributes, b.NestedObject.Blocks)
		if err == nil {
			c.list = true
		}
		return c, err
	default:
		return nil, fmt.Errorf("blocks of %T are not known", b)
	}
}

// validation is one of a configuration.
type validation struct {
	ctx    context.Context
	config tfsdk.Config
}

// object reports whether there is nothing to say of what is in a block, or in the root. Of one that is not known yet, it cannot tell.
func (v validation) object(in *checked, at path.Path, value tftypes.Value) bool {
	if value.IsNull() {
		return true
	}
	if !value.IsKnown() {
		return false
	}
	all := fields(value)
	for _, name := range in.asked {
		if all[name].IsNull() {
			return false
		}
	}
	for _, c := range in.below {
		if !v.field(c, at, all[c.name]) {
			return false
		}
	}
	return true
}

func (v validation) field(c *checked, at path.Path, value tftypes.Value) bool {
	switch isNull := value.IsNull(); {
	case isNull && c.required:
		return false
	case isNull: // of which a validator, too, may have something to say
		return c.check == nil || c.check(v, at.AtName(c.name), value)
	case c.computedOnly:
		return false
	case c.list:
		at := at.AtName(c.name)
		for i, block := range elements(value) {
			if !v.object(c, at.AtListIndex(i), block) {
				return false
			}
		}
		return value.IsKnown()
	case c.isBlock:
		return v.object(c, at.AtName(c.name), value)
	default:
		return c.check == nil || c.check(v, at.AtName(c.name), value)
	}
}

// validated is what validates an attribute.
func validated(a schema.Attribute) (check, error) {
	if row := reflect.ValueOf(a).FieldByName("Validators"); row.IsValid() && row.Len() == 0 {
		return nil, nil
	}
	switch a := a.(type) {
	case schema.StringAttribute:
		return checkBy(a.GetType(), a.Validators, saysOfText), nil
	case schema.BoolAttribute:
		return checkBy(a.GetType(), a.Validators, saysOfFlag), nil
	case schema.Int32Attribute:
		return checkBy(a.GetType(), a.Validators, saysOfNumber), nil
	case schema.Float64Attribute:
		return checkBy(a.GetType(), a.Validators, saysOfDecimal), nil
	case schema.ListAttribute:
		return checkBy(a.GetType(), a.Validators, saysOfList), nil
	case schema.SetAttribute:
		return checkBy(a.GetType(), a.Validators, saysOfSet), nil
	case schema.MapAttribute:
		return checkBy(a.GetType(), a.Validators, saysOfMap), nil
	default:
		return nil, fmt.Errorf("validators of %T are not known", a)
	}
}

// checkBy has the validators see an attribute of Terraform's type typ, each by says.
func checkBy[V attr.Value, W any](typ attr.Type, validators []W, says func(v validation, by W, at path.Path, value V) (anything bool)) check {
	return func(v validation, at path.Path, value tftypes.Value) bool {
		is, err := typ.ValueFromTerraform(v.ctx, value)
		typed, ok := is.(V)
		return err == nil && ok && !slices.ContainsFunc(validators, func(by W) bool { return says(v, by, at, typed) })
	}
}
