package row

import (
	"slices"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// oftenAlone are the blocks that may be written many times and most often are written once.
var oftenAlone = []string{"service"}

// OftenAlone reports whether at is the place of such a block.
func OftenAlone(at problem.Path) bool {
	return len(at) == 1 && slices.Contains(oftenAlone, at.String())
}

// Spoken is a place as people say it of a configuration: of a block that most often is written once, and is here, nobody says that it
// is the first.
func Spoken(raw tftypes.Value, at problem.Path) problem.Path {
	if len(at) < 2 || at[1] != 0 || !OftenAlone(at[:1]) {
		return at
	}
	found, _, err := tftypes.WalkAttributePath(raw, TerraformPath(at[:1]))
	var list []tftypes.Value
	if v, ok := found.(tftypes.Value); err != nil || !ok || !v.Type().Is(tftypes.List{}) || v.IsKnown() && v.As(&list) != nil || len(list) > 1 {
		return at
	}
	return at[:1].Child(at[2:]...)
}
