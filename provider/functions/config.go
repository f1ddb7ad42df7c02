package functions

import (
	"context"
	"encoding/json"
	"math/big"

	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
)

// agentConfig renders the agents' configuration.
func agentConfig() pure {
	return pure{
		name: "agent_config",
		what: function.Definition{
			Summary: "Configuration of the agents, checked",
			MarkdownDescription: "The agents' configuration as JSON, for the environment variable `CONSUL_ECS_CONFIG_JSON`. Every key, type and value is checked as the agents check it at their start. " +
				"The guide on settings lists the keys.",
			Parameters: []function.Parameter{object("config", "The configuration: an object with the keys of the JSON document, such as `consulServers`, or the document itself as a text.")},
			Return:     function.StringReturn{},
		},
		run: func(ctx context.Context, args function.ArgumentsData, result *function.ResultData) *function.FuncError {
			value, known, problem := argument(ctx, args)
			if problem != nil || !known {
				return function.ConcatFuncErrors(problem, result.Set(ctx, types.StringUnknown()))
			}
			document, err := documentOf(value)
			if err != nil {
				return refusal(0, err.Error())
			}
			cfg, err := agentconfig.Parse(document)
			if err != nil {
				return refusal(0, err.Error())
			}
			written, err := agentconfig.Marshal(cfg)
			if err != nil {
				return refusal(0, err.Error())
			}
			return result.Set(ctx, string(written))
		},
	}
}

// documentOf is the JSON that a value stands for. A text is JSON already.
func documentOf(v tftypes.Value) ([]byte, error) {
	if v.Type().Is(tftypes.String) {
		var text string
		err := v.As(&text)
		return []byte(text), err
	}
	plain, err := plainOf(v)
	if err != nil {
		return nil, err
	}
	return json.Marshal(plain)
}

// plainOf is a value as encoding/json has it.
func plainOf(v tftypes.Value) (any, error) {
	if v.IsNull() {
		return nil, nil
	}
	switch t := v.Type(); {
	case t.Is(tftypes.String):
		var text string
		err := v.As(&text)
		return text, err
	case t.Is(tftypes.Bool):
		var flag bool
		err := v.As(&flag)
		return flag, err
	case t.Is(tftypes.Number):
		var number big.Float
		err := v.As(&number)
		return json.Number(number.Text('f', -1)), err
	case t.Is(tftypes.Object{}), t.Is(tftypes.Map{}):
		var fields map[string]tftypes.Value
		if err := v.As(&fields); err != nil {
			return nil, err
		}
		all := map[string]any{}
		for key, field := range fields {
			plain, err := plainOf(field)
			if err != nil {
				return nil, err
			}
			all[key] = plain
		}
		return all, nil
	default:
		var elements []tftypes.Value
		if err := v.As(&elements); err != nil {
			return nil, err
		}
		all := make([]any, len(elements))
		for i, e := range elements {
			plain, err := plainOf(e)
			if err != nil {
				return nil, err
			}
			all[i] = plain
		}
		return all, nil
	}
}
