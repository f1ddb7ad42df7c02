package provider

import (
	"context"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
)

// client is what the provider hands to its resources.
type client struct {
	ecs      *ecs.Client
	iam      *iam.Client
	sts      *sts.Client
	region   string
	defaults defaults

	homeMutex sync.Mutex
	homeFound *iamrole.Home // once it was asked for
}

func newClient(cfg aws.Config, d defaults) *client {
	return &client{ecs: awsapi.ECS(cfg), iam: awsapi.IAM(cfg), sts: awsapi.STS(cfg), region: cfg.Region, defaults: d}
}

// home is the AWS partition, Region and account that the credentials belong to. AWS is asked once.
func (c *client) home(ctx context.Context) (iamrole.Home, error) {
	c.homeMutex.Lock()
	defer c.homeMutex.Unlock()
	if c.homeFound != nil {
		return *c.homeFound, nil
	}
	identity, err := c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return iamrole.Home{}, fmt.Errorf("ask AWS who we are: %w", err)
	}
	who, err := arn.Parse(aws.ToString(identity.Arn))
	if err != nil {
		return iamrole.Home{}, fmt.Errorf("ask AWS who we are: %w", err)
	}
	c.homeFound = &iamrole.Home{Partition: who.Partition, Region: c.region, Account: aws.ToString(identity.Account)}
	return *c.homeFound, nil
}

func (c *client) homeOrReport(ctx context.Context, diags *diag.Diagnostics) (iamrole.Home, bool) {
	home, err := c.home(ctx)
	if err != nil {
		diags.AddError("AWS account not known", err.Error())
	}
	return home, err == nil
}

// clientOf is the client in what Terraform passes on from the provider; nil while the provider is not configured yet, as
// during validation.
func clientOf(data any, diags *diag.Diagnostics) *client {
	if data == nil {
		return nil
	}
	c, ok := data.(*client)
	if !ok {
		diags.AddError("Provider data not usable", fmt.Sprintf("Internal error: the provider handed on a %T.", data))
	}
	return c
}
