package deploy

import (
	"context"

	"github.com/consulecs/terraform-provider-consulecs/internal/devserver"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
	"github.com/consulecs/terraform-provider-consulecs/provider/secrets"
)

// triggerSecrets names the trigger by which a service replaces its tasks: they read their secrets when they start.
const triggerSecrets = "secrets"

// SecretsTrigger is the trigger of a service whose tasks have read the secrets of a version.
func SecretsTrigger(version *string) map[string]string {
	return map[string]string{triggerSecrets: row.Value(version)}
}

// applySecrets makes the secrets, before the service whose tasks read them, and returns the service as it is to be with them. The outputs
// name the set only when ECS was told to replace the tasks: an apply that is cut off before has the next one do so.
func (c *Client) applySecrets(ctx context.Context, d Design, out *Progress) (*block.ECSService, secrets.Set, error) {
	if d.Secrets == nil {
		return d.Service, secrets.Set{}, nil
	}
	progress, err := secrets.Begin(out.Secrets)
	if err != nil {
		return nil, secrets.Set{}, err
	}
	out.begun.secrets = progress
	planned := row.Value(out.Secrets.Version)
	if out.Secrets, err = secrets.Decided(d.Secrets, d.Owner, out.Secrets); err != nil {
		return nil, secrets.Set{}, err
	}
	set, made := c.secrets.Ensure(ctx, *d.Secrets, secrets.Claim{Owner: d.Owner, Adopt: d.Adopt}, planned, progress)
	if out.Secrets.Rendered, err = progress.Listed(d.Owner); made != nil {
		err = made
	}
	if err != nil {
		return nil, set, err
	}
	service := *d.Service
	service.Triggers = SecretsTrigger(&set.Version)
	return &service, set, nil
}

// LookAtSecrets reads what is there of a resource's secrets into its outputs; it reports whether anything is.
func (c *Client) LookAtSecrets(ctx context.Context, owner ownership.Owner, family string, out *secrets.Outputs) (exist bool, err error) {
	defer func() { err = withCause(ctx, err) }()
	return c.secrets.Look(ctx, secrets.Claim{Owner: owner}, devserver.SecretsOf(family), out)
}

// ReadSecrets is the set of secrets that there is of a family; nil if it is not whole.
func (c *Client) ReadSecrets(ctx context.Context, family string) (*secrets.Set, error) {
	return c.secrets.Read(ctx, devserver.SecretsOf(family))
}

// secretClashes are the secrets that have the names of those to be made.
func (c *Client) secretClashes(ctx context.Context, d *secrets.Design, had secrets.Outputs) ([]ownership.Clash, error) {
	if d == nil || had.Rendered != nil {
		return nil, nil
	}
	return c.secrets.There(ctx, d.Names)
}
