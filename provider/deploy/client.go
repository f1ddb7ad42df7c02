// Package deploy makes AWS as a resource wants it, and looks at what is there: task definitions, roles, ECS services.
//
// # Organization
//
// design.go is what a resource wants, outcome.go what came of it; apply.go, create.go and look.go lead from the one to the other.
// definitions.go and revisions.go, roles.go, role_view.go and existing_roles.go, ecs_service.go and its service_*.go, events.go and secrets.go each keep one kind
// of object. clash.go and foreign.go tell whose something is, import.go reads what has no state yet. client.go, run.go and services.go
// gather calls, lags.go and waiting.go wait, explain.go says why a wait was in vain.
package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
	"github.com/consulecs/terraform-provider-consulecs/provider/secrets"
)

// Client is what the provider hands to its resources: one for all of them, so that they share each AWS client and its pace.
type Client struct {
	ecs      *ecs.Client
	iam      *iam.Client
	sts      *sts.Client
	services *services
	events   *events.Keeper
	secrets  *secrets.Keeper
	run      *run
	Region   string
	Defaults block.Defaults
	Accounts Accounts
	AWS      aws.Config // what the clients were made of

	kept      sync.Map // what others keep with the client
	homeMutex sync.Mutex
	homeFound *iamrole.Home // once it was asked for
}

// Accounts are the AWS accounts that the provider may work in; no list: any, and none is forbidden.
type Accounts struct{ Allowed, Forbidden []string }

func (a Accounts) admit(account string) error {
	switch {
	case slices.Contains(a.Forbidden, account):
		return fmt.Errorf("the credentials belong to the AWS account %s, which the provider's forbidden_account_ids has\nhint: use the credentials of the account that is meant, by profile or assume_role", account)
	case len(a.Allowed) > 0 && !slices.Contains(a.Allowed, account):
		return fmt.Errorf("the credentials belong to the AWS account %s, which is not one of the provider's allowed_account_ids: %s\nhint: use the credentials of an account that is allowed, by profile or assume_role", account, strings.Join(a.Allowed, ", "))
	}
	return nil
}

// NewClient makes the clients of one AWS configuration.
func NewClient(cfg aws.Config, d block.Defaults) *Client {
	c := &Client{ecs: awsapi.ECS(cfg), iam: awsapi.IAM(cfg), sts: awsapi.STS(cfg), Region: cfg.Region, Defaults: d, AWS: cfg}
	c.services, c.run = newServices(c.ecs, d.IgnoredTags), newRun()
	c.events = events.NewKeeper(cfg, c.run.hasRemoved)
	c.secrets = secrets.NewKeeper(cfg, c.run.hasRemoved)
	c.events.Ignored, c.secrets.Ignored = d.IgnoredTags, d.IgnoredTags
	return c
}

// Kept is what others keep with the client, by a key of theirs, as long as the client lives: for one plan or one apply.
func Kept[T any](c *Client, key any, begin func() T) T {
	if kept, ok := c.kept.Load(key); ok {
		return kept.(T)
	}
	kept, _ := c.kept.LoadOrStore(key, begin())
	return kept.(T)
}

// HasInState notes the ID of a resource that Terraform has in its state.
func (c *Client) HasInState(ownerID string) { c.run.reads(ownerID) }

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
	if err := c.Accounts.admit(aws.ToString(identity.Account)); err != nil {
		return iamrole.Home{}, err
	}
	c.homeFound = &iamrole.Home{Partition: who.Partition, Region: c.Region, Account: aws.ToString(identity.Account)}
	return *c.homeFound, nil
}

// Admitted reports whether the provider may work in the account of its credentials, with what is wrong among diags. AWS is asked only
// where that is restricted: whoever reads in another account finds nothing, and takes the resource for deleted.
func (c *Client) Admitted(ctx context.Context, diags *diag.Diagnostics) bool {
	if len(c.Accounts.Allowed) == 0 && len(c.Accounts.Forbidden) == 0 {
		return true
	}
	_, ok := c.HomeOrReport(ctx, diags)
	return ok
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
