package shortcut

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// node is an attribute or block of a schema, or its root, as far as the walks have to do with it.
type node struct {
	name     string
	typ      tftypes.Type
	list     bool // a block that may be written many times
	computed bool
	decimal  bool
	modify   modify // nil: nothing modifies it

	below         []*node // attributes and blocks in it that a plan has to do with
	listsBelow    []*node // blocks in it that are lists, or have lists in them
	decimalsBelow []*node // decimals in it, and blocks that have decimals in them
}

// prepare prepares what is in a block, or in the root.
func prepare(ctx context.Context, attributes map[string]schema.Attribute, blocks map[string]schema.Block) (*node, error) {
	n := &node{}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		does, err := modifier(ctx, a)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		_, decimal := a.(schema.Float64Attribute)
		b := &node{name: name, typ: a.GetType().TerraformType(ctx), computed: a.IsComputed(), decimal: decimal, modify: does}
		if b.computed || b.modify != nil {
			n.below = append(n.below, b)
		}
		if b.decimal {
			n.decimalsBelow = append(n.decimalsBelow, b)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(blocks)) {
		b, err := prepareBlock(ctx, blocks[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		b.name, b.typ = name, blocks[name].Type().TerraformType(ctx)
		if len(b.below) > 0 {
			n.below = append(n.below, b)
		}
		if b.list || len(b.listsBelow) > 0 {
			n.listsBelow = append(n.listsBelow, b)
		}
		if len(b.decimalsBelow) > 0 {
			n.decimalsBelow = append(n.decimalsBelow, b)
		}
	}
	return n, nil
}

func prepareBlock(ctx context.Context, b schema.Block) (*node, error) {
	switch b := b.(type) {
	case schema.SingleNestedBlock:
		if len(b.PlanModifiers) > 0 {
			return nil, fmt.Errorf("modifiers of blocks are not known")
		}
		return prepare(ctx, b.Attributes, b.Blocks)
	case schema.ListNestedBlock:
		if len(b.PlanModifiers) > 0 || len(b.NestedObject.PlanModifiers) > 0 {
			return nil, fmt.Errorf("modifiers of blocks are not known")
		}
		n, err := prepare(ctx, b.NestedObject.Attributes, b.NestedObject.Blocks)
		if err == nil {
			n.list = true
		}
		return n, err
	default:
		return nil, fmt.Errorf("blocks of %T are not known", b)
	}
}

// noBlocks writes lists of blocks of which there is none as is says: nil for null, or an empty list. same is true if nothing changed.
func (n *node) noBlocks(v tftypes.Value, is any) (_ tftypes.Value, same bool) {
	return each(n.listsBelow, v, func(b *node, in tftypes.Value) (tftypes.Value, bool) {
		if !b.list {
			return b.noBlocks(in, is)
		}
		if !in.IsKnown() {
			return in, true
		}
		blocks := elements(in)
		if len(blocks) == 0 && in.IsNull() != (is == nil) {
			return tftypes.NewValue(in.Type(), is), false
		}
		return eachElement(in, blocks, func(_ int, block tftypes.Value) (tftypes.Value, bool) { return b.noBlocks(block, is) })
	})
}

// keepDecimals keeps each decimal as a state had it while it is the same float64. A configuration's 0.1 has more digits than a model
// has room for: of the model's, the next plan would find that it is another number, as the framework's semantic equality prevents.
func (n *node) keepDecimals(was, v tftypes.Value) (_ tftypes.Value, same bool) {
	had := fields(was)
	return each(n.decimalsBelow, v, func(b *node, in tftypes.Value) (tftypes.Value, bool) {
		switch stored := b.of(had, was); {
		case b.decimal:
			is, ok := double(in)
			before, beforeOK := double(stored)
			if !ok || !beforeOK || is != before {
				return in, true
			}
			return stored, false
		case b.list:
			blocks := elements(stored)
			return eachElement(in, elements(in), func(i int, block tftypes.Value) (tftypes.Value, bool) {
				return b.keepDecimals(element(blocks, i, block.Type()), block)
			})
		default:
			return b.keepDecimals(stored, in)
		}
	})
}

// double is the nearest float64 to a number; there is none of one that is null or not known.
func double(v tftypes.Value) (n float64, ok bool) {
	var number big.Float
	if v.IsNull() || !v.IsKnown() || v.As(&number) != nil {
		return 0, false
	}
	n, _ = number.Float64()
	return n, true
}

// each replaces what is in an object, if there is one: by do, which says whether a value is the same.
func each(nodes []*node, v tftypes.Value, do func(*node, tftypes.Value) (tftypes.Value, bool)) (_ tftypes.Value, same bool) {
	if len(nodes) == 0 || v.IsNull() || !v.IsKnown() {
		return v, true
	}
	all, same := fields(v), true
	for _, n := range nodes {
		next, isSame := do(n, all[n.name])
		if isSame {
			continue
		}
		if same {
			all, same = maps.Clone(all), false
		}
		all[n.name] = next
	}
	if same {
		return v, true
	}
	return tftypes.NewValue(v.Type(), all), false
}

// eachElement is each for the elements of a list.
func eachElement(list tftypes.Value, elements []tftypes.Value, do func(int, tftypes.Value) (tftypes.Value, bool)) (_ tftypes.Value, same bool) {
	same = true
	for i := range elements {
		next, isSame := do(i, elements[i])
		if isSame {
			continue
		}
		if same {
			elements, same = slices.Clone(elements), false
		}
		elements[i] = next
	}
	if same {
		return list, true
	}
	return tftypes.NewValue(list.Type(), elements), false
}

// fields are those of an object; none if it is null or not known.
func fields(v tftypes.Value) (all map[string]tftypes.Value) {
	if v.IsKnown() {
		_ = v.As(&all) // by its type it is one
	}
	return all
}

// elements are those of a list; none if it is null or not known.
func elements(v tftypes.Value) (all []tftypes.Value) {
	if v.IsKnown() {
		_ = v.As(&all)
	}
	return all
}
