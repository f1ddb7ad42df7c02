package meshtask

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// schemaVersion is that of the resource's schema. It grows when what a state holds cannot be read by the schema any more.
//
//	0  a task was one service: an object
//	1  it may be several: a list
const schemaVersion = 1

// UpgradeState implements resource.ResourceWithUpgradeState.
func (*meshTask) UpgradeState(context.Context) map[int64]resource.StateUpgrader {
	return map[int64]resource.StateUpgrader{0: {StateUpgrader: func(_ context.Context, req resource.UpgradeStateRequest, resp *resource.UpgradeStateResponse) {
		upgraded, err := listServices(req.RawState.JSON)
		if err != nil {
			resp.Diagnostics.AddError("State not readable", fmt.Sprintf("The state of a mesh task of schema version 0 could not be upgraded: %v.", err))
			return
		}
		resp.DynamicValue = &tfprotov6.DynamicValue{JSON: upgraded}
	}}}
}

// listServices makes a list of the one service of a state.
func listServices(state []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(state))
	decoder.UseNumber() // they are Terraform's, to be written as they are
	var all map[string]any
	if err := decoder.Decode(&all); err != nil {
		return nil, err
	}
	services := []any{}
	if one := all["service"]; one != nil {
		services = append(services, one)
	}
	all["service"] = services
	return json.Marshal(all)
}
