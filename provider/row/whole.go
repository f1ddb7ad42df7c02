package row

import (
	"context"
	"fmt"
	"math"
	"math/big"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// wholeType is the type of numbers that RefuseNumbers has its say about. The framework's own type refuses what it has no place for,
// too, and calls it an error of the provider's.
type wholeType struct{ basetypes.Int32Type }

// Equal takes the framework's type for the same, whose values it has.
func (t wholeType) Equal(o attr.Type) bool {
	_, ours := o.(wholeType)
	return ours || t.Int32Type.Equal(o)
}

// unsignedType is the type of numbers of 32 bits without a sign.
type unsignedType struct{ basetypes.NumberType }

// Equal takes the framework's type for the same, whose values it has.
func (t unsignedType) Equal(o attr.Type) bool {
	_, ours := o.(unsignedType)
	return ours || t.NumberType.Equal(o)
}

// ValueFromTerraform takes a number that it has no place for as unknown.
func (t wholeType) ValueFromTerraform(ctx context.Context, in tftypes.Value) (attr.Value, error) {
	if unfit(in, math.MinInt32, math.MaxInt32) != nil {
		return types.Int32Unknown(), nil
	}
	return t.Int32Type.ValueFromTerraform(ctx, in)
}

// unfit is the number, if it is not whole or out of bounds; else nil.
func unfit(v tftypes.Value, from, to int64) *big.Float {
	var n big.Float
	if !v.IsKnown() || v.IsNull() || !v.Type().Is(tftypes.Number) || v.As(&n) != nil {
		return nil
	}
	if whole, exact := n.Int64(); exact == big.Exact && whole >= from && whole <= to {
		return nil
	}
	return &n
}

// RefuseNumbers reports numbers that no attribute takes and no model has a place for: those that are not whole, or out of reach.
// Those of Decimal may have a fraction.
func RefuseNumbers(ctx context.Context, config tfsdk.Config, diags *diag.Diagnostics) (found bool) {
	_ = tftypes.Walk(config.Raw, func(at *tftypes.AttributePath, v tftypes.Value) (bool, error) {
		if !v.Type().Is(tftypes.Number) {
			return true, nil
		}
		from, to := int64(math.MinInt32), int64(math.MaxInt32)
		switch typ, err := config.Schema.TypeAtTerraformPath(ctx, at); {
		case err != nil:
		case typ == attr.Type(unsignedType{}):
			from, to = 0, math.MaxUint32
		case typ.Equal(types.Float64Type):
			return true, nil
		}
		if n := unfit(v, from, to); n != nil {
			place := placeOf(at)
			diags.AddAttributeError(frameworkPath(place), "Not a whole number", fmt.Sprintf("%s is %s, want a whole number from %d to %d.", Spoken(config.Raw, place), n.String(), from, to))
			found = true
		}
		return true, nil
	})
	return found
}
