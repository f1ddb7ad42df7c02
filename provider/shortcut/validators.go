package shortcut

import (
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// The framework has a kind of validators, of requests and of answers for each type of attributes.

func saysOfText(v validation, by validator.String, at path.Path, value types.String) bool {
	var resp validator.StringResponse
	by.ValidateString(v.ctx, validator.StringRequest{Path: at, PathExpression: at.Expression(), Config: v.config, ConfigValue: value}, &resp)
	return len(resp.Diagnostics) > 0
}

func saysOfFlag(v validation, by validator.Bool, at path.Path, value types.Bool) bool {
	var resp validator.BoolResponse
	by.ValidateBool(v.ctx, validator.BoolRequest{Path: at, PathExpression: at.Expression(), Config: v.config, ConfigValue: value}, &resp)
	return len(resp.Diagnostics) > 0
}

func saysOfNumber(v validation, by validator.Int32, at path.Path, value types.Int32) bool {
	var resp validator.Int32Response
	by.ValidateInt32(v.ctx, validator.Int32Request{Path: at, PathExpression: at.Expression(), Config: v.config, ConfigValue: value}, &resp)
	return len(resp.Diagnostics) > 0
}

func saysOfDecimal(v validation, by validator.Float64, at path.Path, value types.Float64) bool {
	var resp validator.Float64Response
	by.ValidateFloat64(v.ctx, validator.Float64Request{Path: at, PathExpression: at.Expression(), Config: v.config, ConfigValue: value}, &resp)
	return len(resp.Diagnostics) > 0
}

func saysOfList(v validation, by validator.List, at path.Path, value types.List) bool {
	var resp validator.ListResponse
	by.ValidateList(v.ctx, validator.ListRequest{Path: at, PathExpression: at.Expression(), Config: v.config, ConfigValue: value}, &resp)
	return len(resp.Diagnostics) > 0
}

func saysOfSet(v validation, by validator.Set, at path.Path, value types.Set) bool {
	var resp validator.SetResponse
	by.ValidateSet(v.ctx, validator.SetRequest{Path: at, PathExpression: at.Expression(), Config: v.config, ConfigValue: value}, &resp)
	return len(resp.Diagnostics) > 0
}

func saysOfMap(v validation, by validator.Map, at path.Path, value types.Map) bool {
	var resp validator.MapResponse
	by.ValidateMap(v.ctx, validator.MapRequest{Path: at, PathExpression: at.Expression(), Config: v.config, ConfigValue: value}, &resp)
	return len(resp.Diagnostics) > 0
}
