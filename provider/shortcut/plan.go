package shortcut

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// planned is a plan before the resource has its say: what is computed and not configured is open where anything changes, and the
// attributes' modifiers have seen it.
func (k *Kind) planned(ctx context.Context, config, state, proposed tftypes.Value) *call {
	plan := proposed
	if !proposed.Equal(state) {
		plan, _ = k.root.open(config, plan)
	}
	c := &call{config: config, state: state, plan: plan}
	m := &modification{
		config: tfsdk.Config{Raw: config, Schema: k.schema}, state: tfsdk.State{Raw: state, Schema: k.schema}, plan: tfsdk.Plan{Raw: plan, Schema: k.schema}, into: c,
	}
	c.plan, _ = m.object(ctx, k.root, path.Empty(), config, state, plan)
	return c
}

// open makes what is computed and null in a configuration unknown.
func (n *node) open(config, plan tftypes.Value) (_ tftypes.Value, same bool) {
	configured := fields(config)
	return each(n.below, plan, func(b *node, in tftypes.Value) (tftypes.Value, bool) {
		switch written := b.of(configured, config); {
		case b.list:
			blocks := elements(written)
			return eachElement(in, elements(in), func(i int, block tftypes.Value) (tftypes.Value, bool) {
				return b.open(element(blocks, i, block.Type()), block)
			})
		case len(b.below) > 0:
			return b.open(written, in)
		case b.computed && written.IsNull():
			return tftypes.NewValue(b.typ, tftypes.UnknownValue), false
		default:
			return in, true
		}
	})
}

// of is the node's value in an object of these fields: null in one that is null, unknown in one that is not known.
func (n *node) of(fields map[string]tftypes.Value, object tftypes.Value) tftypes.Value {
	if v, ok := fields[n.name]; ok {
		return v
	}
	if !object.IsKnown() {
		return tftypes.NewValue(n.typ, tftypes.UnknownValue)
	}
	return tftypes.NewValue(n.typ, nil)
}

// element is that of a list, or null.
func element(list []tftypes.Value, i int, typ tftypes.Type) tftypes.Value {
	if i < len(list) {
		return list[i]
	}
	return tftypes.NewValue(typ, nil)
}

// modification is one pass of the attributes' modifiers.
type modification struct {
	config tfsdk.Config
	state  tfsdk.State
	plan   tfsdk.Plan
	into   *call
}

// object modifies what is in a block, or in the root.
func (m *modification) object(ctx context.Context, n *node, at path.Path, config, state, plan tftypes.Value) (_ tftypes.Value, same bool) {
	configured, stored := fields(config), fields(state)
	return each(n.below, plan, func(b *node, in tftypes.Value) (tftypes.Value, bool) {
		at, config, state := at.AtName(b.name), b.of(configured, config), b.of(stored, state)
		switch {
		case b.list:
			written, stored := elements(config), elements(state)
			return eachElement(in, elements(in), func(i int, block tftypes.Value) (tftypes.Value, bool) {
				return m.object(ctx, b, at.AtListIndex(i), element(written, i, block.Type()), element(stored, i, block.Type()), block)
			})
		case len(b.below) > 0:
			return m.object(ctx, b, at, config, state, in)
		case b.modify == nil:
			return in, true
		}
		next, err := b.modify(ctx, m, at, config, state, in)
		if err != nil {
			m.into.diags.AddAttributeError(at, "Value not to be planned", fmt.Sprintf("%s: %v", at, err))
			return in, true
		}
		return next, next.Equal(in)
	})
}
