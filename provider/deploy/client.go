// Package deploy makes AWS as a resource wants it, and looks at what is there: task definitions, roles, ECS services.
package deploy

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
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/events"
)

// Client is what the provider hands to its resources: one for all of them, so that they share each AWS client and its pace.
type Client struct {
	ecs      *ecs.Client
	iam      *iam.Client
	sts      *sts.Client
	services *services
	events   *events.Keeper
	run      *run
	Region   string
	Defaults block.Defaults
	AWS      aws.Config // what the clients were made of

	homeMutex sync.Mutex
	homeFound *iamrole.Home // once it was asked for
}

// NewClient makes the clients of one AWS configuration.
func NewClient(cfg aws.Config, d block.Defaults) *Client {
	c := &Client{ecs: awsapi.ECS(cfg), iam: awsapi.IAM(cfg), sts: awsapi.STS(cfg), Region: cfg.Region, Defaults: d, AWS: cfg}
	c.services, c.run = newServices(c.ecs), newRun()
	c.events = events.NewKeeper(cfg, c.run.hasRemoved)
	return c
}

// Home is the AWS partition, Region and account that the credentials belong to. AWS is asked once.
func (c *Client) Home(ctx context.Context) (iamrole.Home, error) {
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
	c.homeFound = &iamrole.Home{Partition: who.Partition, Region: c.Region, Account: aws.ToString(identity.Account)}
	return *c.homeFound, nil
}

// HomeOrReport is Home for a resource: not ok, with what is wrong among diags, where it is not known.
func (c *Client) HomeOrReport(ctx context.Context, diags *diag.Diagnostics) (iamrole.Home, bool) {
	home, err := c.Home(ctx)
	if err != nil {
		diags.AddError("AWS account not known", err.Error())
	}
	return home, err == nil
}

// ClientOf is the client in what Terraform passes on from the provider; nil while the provider is not configured yet, as
// during validation.
func ClientOf(data any, diags *diag.Diagnostics) *Client {
	if data == nil {
		return nil
	}
	c, ok := data.(*Client)
	if !ok {
		diags.AddError("Provider data not usable", fmt.Sprintf("Internal error: the provider handed on a %T.", data))
	}
	return c
}
