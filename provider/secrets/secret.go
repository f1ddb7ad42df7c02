package secrets

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/provider/lag"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
)

// stageCurrent is the stage of the version that is read where nobody names one.
const stageCurrent = "AWSCURRENT"

// secret is one as Secrets Manager describes it, which is without its value.
type secret struct {
	version string // that is current; "" if it has none
	deleted bool   // to be: it can be restored
	tags    map[string]string
}

// describe is the secret; nil if there is none.
func (k *Keeper) describe(ctx context.Context, name string) (*secret, error) {
	is, err := k.client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &name})
	if awsapi.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("describe secret %s: %w", name, err)
	}
	found := &secret{deleted: is.DeletedDate != nil, tags: map[string]string{}}
	for id, stages := range is.VersionIdsToStages {
		if slices.Contains(stages, stageCurrent) {
			found.version = id
		}
	}
	for _, tag := range is.Tags {
		found.tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	found.tags = k.Ignored.Without(found.tags)
	return found, nil
}

// shown is describe for a secret that may be shown though it was deleted in the same run, as when a resource is replaced.
func (k *Keeper) shown(ctx context.Context, name string) (*secret, error) {
	var found *secret
	err := lag.Through(ctx, func() error {
		is, err := k.describe(ctx, name)
		if err == nil && is != nil && k.removed(is.tags[ownership.TagECSID]) {
			err = errRemoved
		}
		found = is
		return err
	}, removedShown)
	return found, err
}

// create makes a secret with its value. The version's ID makes it the same call, however often it is repeated: a secret that there is
// with that version is this one.
func (k *Keeper) create(ctx context.Context, want SecretView, by Claim, version, value string) error {
	input := &secretsmanager.CreateSecretInput{
		Name: &want.Name, Description: &want.description, SecretString: &value, ClientRequestToken: &version, Tags: tagList(want.Tags),
	}
	err := lag.Through(ctx, func() error { _, err := k.client.CreateSecret(ctx, input); return err }, nameTaken)
	if err == nil {
		tflog.Info(ctx, "secret created", map[string]any{"secret": want.Name})
		return nil
	}
	if !awsapi.IsTaken(err) {
		return fmt.Errorf("create secret %s: %w", want.Name, err)
	}
	found, seen := k.await(ctx, want.Name)
	if seen != nil {
		return errors.Join(fmt.Errorf("create secret %s: %w", want.Name, err), seen)
	}
	if err := by.Refuse(whatSecret(want.Name), found.tags, false); err != nil {
		return err
	}
	if found.version == version {
		return nil
	}
	return errors.Join(k.put(ctx, want.Name, version, value), k.correctTags(ctx, want, nil, found.tags))
}

// await reads a secret that is there, though it may not show yet.
func (k *Keeper) await(ctx context.Context, name string) (found *secret, err error) {
	err = lag.Through(ctx, func() error {
		var err error
		if found, err = k.describe(ctx, name); err == nil && found == nil {
			err = errNotShown
		}
		return err
	}, notShown)
	return found, err
}

func (k *Keeper) put(ctx context.Context, name, version, value string) error {
	if _, err := k.client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &name, SecretString: &value, ClientRequestToken: &version}); err != nil {
		return fmt.Errorf("put the value of secret %s: %w", name, err)
	}
	tflog.Info(ctx, "secret written", map[string]any{"secret": name})
	return nil
}

func (k *Keeper) restore(ctx context.Context, name string) error {
	if _, err := k.client.RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: &name}); err != nil {
		return fmt.Errorf("restore secret %s: %w", name, err)
	}
	tflog.Info(ctx, "secret restored", map[string]any{"secret": name})
	return nil
}

// value reads a secret that is public.
func (k *Keeper) value(ctx context.Context, name string) (string, error) {
	is, err := k.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
	if err != nil {
		return "", fmt.Errorf("read secret %s: %w", name, err)
	}
	return aws.ToString(is.SecretString), nil
}

// correctTags turns the tags from found into those wanted. Of those that had lists and want does not, none stays.
func (k *Keeper) correctTags(ctx context.Context, want SecretView, had, found map[string]string) error {
	set, remove := ownership.Change(want.Tags, k.Ignored.Without(maps.Clone(had)), found)
	if len(set) > 0 {
		if _, err := k.client.TagResource(ctx, &secretsmanager.TagResourceInput{SecretId: &want.Name, Tags: tagList(set)}); err != nil {
			return fmt.Errorf("tag secret %s: %w", want.Name, err)
		}
	}
	if len(remove) > 0 {
		if _, err := k.client.UntagResource(ctx, &secretsmanager.UntagResourceInput{SecretId: &want.Name, TagKeys: remove}); err != nil {
			return fmt.Errorf("untag secret %s: %w", want.Name, err)
		}
	}
	return nil
}

// delete deletes the secret for good, one that is to be deleted later, too: its name shall be free at once, and without its server it
// opens nothing.
func (k *Keeper) delete(ctx context.Context, name string, may func(ownerID string) bool) error {
	is, err := k.describe(ctx, name)
	if err != nil || is == nil || !may(is.tags[ownership.TagECSID]) {
		return err
	}
	_, err = k.client.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &name, ForceDeleteWithoutRecovery: aws.Bool(true)})
	if err != nil && !awsapi.IsNotFound(err) && !awsapi.IsSecretBeingDeleted(err) {
		return fmt.Errorf("delete secret %s: %w", name, err)
	}
	tflog.Info(ctx, "secret deleted", map[string]any{"secret": name})
	return nil
}

func tagList(tags map[string]string) []smtypes.Tag {
	var list []smtypes.Tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, smtypes.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return list
}
