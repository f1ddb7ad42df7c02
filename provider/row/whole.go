package row

import (
	"context"
	"fmt"
	"math"
	"math/big"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
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

// ValueFromTerraform takes a number that it has no place for as unknown.
func (t wholeType) ValueFromTerraform(ctx context.Context, in tftypes.Value) (attr.Value, error) {
	if unfit(in) != nil {
		return types.Int32Unknown(), nil
	}
	return t.Int32Type.ValueFromTerraform(ctx, in)
}

// unfit is the number, if it is one that no attribute takes and no model has a place for; else nil.
func unfit(v tftypes.Value) *big.Float {
	var n big.Float
	if !v.IsKnown() || v.IsNull() || !v.Type().Is(tftypes.Number) || v.As(&n) != nil {
		return nil
	}
	if whole, exact := n.Int64(); exact == big.Exact && whole >= math.MinInt32 && whole <= math.MaxInt32 {
		return nil
	}
	return &n
}

// RefuseNumbers reports numbers that are not whole, or out of reach.
func RefuseNumbers(raw tftypes.Value, diags *diag.Diagnostics) (found bool) {
	_ = tftypes.Walk(raw, func(at *tftypes.AttributePath, v tftypes.Value) (bool, error) {
		if n := unfit(v); n != nil {
			place := placeOf(at)
			diags.AddAttributeError(frameworkPath(place), "Not a whole number", fmt.Sprintf("%s is %s, want a whole number from %d to %d.", place, n.String(), math.MinInt32, math.MaxInt32))
			found = true
		}
		return true, nil
	})
	return found
}
