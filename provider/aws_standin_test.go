package provider_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// awsStandIn stands in for HashiCorp's provider for AWS, which cannot be had where the tests run: Terraform starts the provider of
// everything that is in a state, also of what leaves it. It knows the types that the incumbent's module makes, by the attributes that
// count, and does nothing but to hand a state back: what it does not answer, a plan that takes resources out of a state does not ask.
type awsStandIn struct{ tfprotov6.ProviderServer }

// standInName is the file that a CLI configuration finds. It is a link to the test's own program.
const standInName = "terraform-provider-aws"

// servesStandIn reports whether this process was started as the stand-in, and has then been it.
func servesStandIn() bool {
	if filepath.Base(os.Args[0]) != standInName {
		return false
	}
	_ = tf6server.Serve("registry.terraform.io/hashicorp/aws", func() tfprotov6.ProviderServer { return awsStandIn{} })
	return true
}

// standInFolder is a folder with the stand-in.
func standInFolder(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.Symlink(self, filepath.Join(folder, standInName)); err != nil {
		t.Fatal(err)
	}
	return folder
}

func standInTypes() map[string]map[string]tftypes.Type {
	text, flag, number := tftypes.String, tftypes.Bool, tftypes.Number
	opaque := tftypes.List{ElementType: tftypes.Map{ElementType: text}}
	return map[string]map[string]tftypes.Type{
		"aws_ecs_task_definition": {
			"arn": text, "container_definitions": text, "cpu": text, "memory": text, "family": text, "network_mode": text, "task_role_arn": text, "execution_role_arn": text,
			"revision": number, "skip_destroy": flag, "track_latest": flag, "enable_fault_injection": flag, "requires_compatibilities": tftypes.Set{ElementType: text},
			"volume": tftypes.Set{ElementType: tftypes.Object{AttributeTypes: map[string]tftypes.Type{
				"name": text, "host_path": text, "configure_at_launch": flag,
			}}},
			"ephemeral_storage": opaque, "placement_constraints": opaque, "proxy_configuration": opaque, "runtime_platform": opaque,
		},
		"aws_iam_role":                   {"arn": text, "name": text, "path": text},
		"aws_iam_policy":                 {"arn": text, "name": text, "path": text},
		"aws_iam_role_policy_attachment": {"policy_arn": text, "role": text},
		"aws_ecs_service":                {"arn": text, "name": text, "cluster": text, "task_definition": text, "desired_count": number, "propagate_tags": text},
		"aws_instance":                   {"arn": text},
	}
}

func (awsStandIn) GetProviderSchema(context.Context, *tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	none := &tfprotov6.Schema{Block: &tfprotov6.SchemaBlock{}}
	all := &tfprotov6.GetProviderSchemaResponse{Provider: none, ProviderMeta: none, ResourceSchemas: map[string]*tfprotov6.Schema{}}
	for name, attributes := range standInTypes() {
		of := &tfprotov6.Schema{Version: 0, Block: &tfprotov6.SchemaBlock{Attributes: []*tfprotov6.SchemaAttribute{{Name: "id", Type: tftypes.String, Computed: true}}}}
		if name == "aws_ecs_task_definition" || name == "aws_ecs_service" {
			of.Version = 1
		}
		for attribute, typ := range attributes {
			of.Block.Attributes = append(of.Block.Attributes, &tfprotov6.SchemaAttribute{Name: attribute, Type: typ, Optional: true, Computed: true})
		}
		all.ResourceSchemas[name] = of
	}
	return all, nil
}

func (awsStandIn) ValidateProviderConfig(_ context.Context, req *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: req.Config}, nil
}

func (awsStandIn) ConfigureProvider(context.Context, *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	return &tfprotov6.ConfigureProviderResponse{}, nil
}

func (s awsStandIn) UpgradeResourceState(ctx context.Context, req *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	schemas, _ := s.GetProviderSchema(ctx, nil)
	value, err := req.RawState.Unmarshal(schemas.ResourceSchemas[req.TypeName].ValueType())
	if err != nil {
		return nil, err
	}
	upgraded, err := tfprotov6.NewDynamicValue(value.Type(), value)
	return &tfprotov6.UpgradeResourceStateResponse{UpgradedState: &upgraded}, err
}

func (awsStandIn) ReadResource(_ context.Context, req *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	return &tfprotov6.ReadResourceResponse{NewState: req.CurrentState, Private: req.Private}, nil
}

func (awsStandIn) GetResourceIdentitySchemas(context.Context, *tfprotov6.GetResourceIdentitySchemasRequest) (*tfprotov6.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov6.GetResourceIdentitySchemasResponse{}, nil
}

func (awsStandIn) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	return &tfprotov6.StopProviderResponse{}, nil
}
