// Package secrets makes the secrets of a Consul server for trials as its resource wants them, and looks at what is there. Their values are
// made here and go to Secrets Manager alone. What bears the ID of another resource, or of none, is never taken.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/devserver"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/lag"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
)

// How long AWS is given.
const (
	nameFreeWithin = 2 * time.Minute // until the name of a deleted secret is free again
	seenWithin     = time.Minute     // until Secrets Manager shows what is new
)

var (
	errRemoved  = errors.New("it was deleted a moment ago, and AWS still shows it")
	errNotShown = errors.New("AWS does not show it")

	nameTaken    = lag.Lag{What: "Secrets Manager keeps the name of a deleted secret for a moment", Is: awsapi.IsSecretBeingDeleted, Within: nameFreeWithin}
	notShown     = lag.Lag{What: "Secrets Manager does not show what is new", Is: func(err error) bool { return errors.Is(err, errNotShown) }, Within: seenWithin}
	removedShown = lag.Lag{What: "Secrets Manager still shows what was deleted", Is: func(err error) bool { return errors.Is(err, errRemoved) }, Within: nameFreeWithin}
)

// Keeper makes and reads.
type Keeper struct {
	client  *secretsmanager.Client
	removed func(ownerID string) bool

	Ignored block.IgnoredTags // of others, which neither show nor go
}

// NewKeeper makes the client of one AWS configuration. removed tells whether a resource was removed in the same run.
func NewKeeper(cfg aws.Config, removed func(ownerID string) bool) *Keeper {
	return &Keeper{client: awsapi.SecretsManager(cfg), removed: removed}
}

// Design is what a resource wants to have.
type Design struct {
	Home  iamrole.Home
	Names devserver.SecretNames
	Tags  map[string]string

	// Make makes the values by the names of the secrets: all of them, as they go together.
	Make func() (map[string]string, error)
}

// Claim is who wants the secrets.
type Claim = ownership.Claim

func whatSecret(name string) string { return "secret " + name }

// Progress tells how far an apply of the secrets got.
type Progress struct {
	listed View // what the state has to hold
	begun  View // what was not there before
}

// Begin is the progress of an apply that has done nothing yet.
func Begin(had Outputs) (*Progress, error) {
	listed, err := decode(had.Rendered)
	return &Progress{listed: listed}, err
}

// Listed is what the state has to hold of the secrets, whatever becomes of the rest.
func (p *Progress) Listed(owner ownership.Owner) (*string, error) {
	return encode(p.listed.shownTo(owner))
}

// Left is what the state has to hold after a create that failed: what it made, and could not take back.
func (p *Progress) Left(owner ownership.Owner) *string {
	text, err := encode(p.begun.shownTo(owner))
	if err != nil { // then nothing is known to be left
		return nil
	}
	return text
}

// Begun reports whether something is made that was not there before.
func (p *Progress) Begun() bool { return len(p.begun.Secrets) > 0 }

// Set is one making of all values. All secrets have it as the ID of their current version: where they do not, an apply was cut off
// between two of them, or somebody wrote to one.
type Set struct {
	Version       string
	CACertificate string // PEM
}

// Ensure makes the secrets, or corrects what differs. Each is listed before it is made, so that a destroy finds it. Values are made
// where one is missing, or where they are not of one set; then all of them. planned is the version that the plan showed; "" if it
// showed none.
func (k *Keeper) Ensure(ctx context.Context, d Design, by Claim, planned string, p *Progress) (Set, error) {
	want, found := viewOf(d, by.Owner), map[string]*secret{}
	for _, s := range want.Secrets {
		is, err := k.shown(ctx, s.Name)
		if err != nil {
			return Set{}, err
		}
		if is != nil {
			if err := by.Refuse(whatSecret(s.Name), is.tags, p.listed.has(s.Name)); err != nil {
				return Set{}, err
			}
			found[s.Name] = is
		}
	}
	version := versionOf(d.Names, found)
	if planned != "" && version != planned {
		return Set{}, fmt.Errorf("the secrets of the server, such as %s, were changed after the plan was made\nhint: plan and apply again", d.Names.Server)
	}
	set, values := Set{Version: version}, map[string]string{}
	if version == "" {
		var err error
		if values, err = d.Make(); err != nil {
			return Set{}, err
		}
		set = Set{Version: devserver.NewUUID(), CACertificate: values[d.Names.CA]}
	}
	for _, s := range want.Secrets {
		if err := k.ensureOne(ctx, s, by, found[s.Name], set.Version, values, p); err != nil {
			return Set{}, err
		}
	}
	p.listed = want
	if set.CACertificate == "" {
		var err error
		if set.CACertificate, err = k.value(ctx, d.Names.CA); err != nil {
			return Set{}, err
		}
	}
	return set, nil
}

func (k *Keeper) ensureOne(ctx context.Context, want SecretView, by Claim, found *secret, version string, values map[string]string, p *Progress) error {
	had := p.listed.tagsOf(want.Name)
	if !p.listed.has(want.Name) {
		p.listed.Secrets = append(p.listed.Secrets, want)
	}
	value, isNew := values[want.Name]
	if found == nil {
		p.begun.Secrets = append(p.begun.Secrets, want)
		return k.create(ctx, want, by, version, value)
	}
	if found.deleted {
		if err := k.restore(ctx, want.Name); err != nil {
			return err
		}
	}
	if isNew {
		if err := k.put(ctx, want.Name, version, value); err != nil {
			return err
		}
	}
	return k.correctTags(ctx, want, had, found.tags)
}

// versionOf is the version that all secrets have; "" where one is missing, or they differ.
func versionOf(names devserver.SecretNames, found map[string]*secret) string {
	var versions []string
	for _, name := range names.All() {
		is := found[name]
		if is == nil || is.deleted || is.version == "" {
			return ""
		}
		versions = append(versions, is.version)
	}
	if versions = slices.Compact(versions); len(versions) > 1 {
		return ""
	}
	return versions[0]
}

// Look reads what is there into the outputs. exist is false when nothing is left. What another resource has adopted does not show,
// and counts as left.
func (k *Keeper) Look(ctx context.Context, by Claim, names devserver.SecretNames, out *Outputs) (exist bool, err error) {
	kept, err := decode(out.Rendered)
	if err != nil {
		return false, err
	}
	var view View
	found := map[string]*secret{}
	for _, s := range kept.Secrets {
		is, err := k.describe(ctx, s.Name)
		if err != nil {
			return false, err
		}
		exist = exist || is != nil && !is.deleted
		if is == nil || is.deleted || by.Owner.IsNot(is.tags[ownership.TagECSID]) {
			continue
		}
		found[s.Name] = is
		view.Secrets = append(view.Secrets, SecretView{Name: s.Name, Tags: only(is.tags, s.Tags)})
	}
	for name, arn := range map[string]**string{names.CA: &out.CASecretARN, names.Token: &out.TokenSecretARN, names.Server: &out.ServerSecretARN} {
		if found[name] == nil {
			*arn = nil
		}
	}
	if version := versionOf(names, found); version == "" || out.Version == nil || version != *out.Version {
		out.Version, out.CACertificate = nil, nil // made by others, or not whole: the next apply makes all anew
	}
	out.Rendered, err = encode(view.shownTo(by.Owner))
	return exist, err
}

// Read is the set that there is, for an import; nil if it is not whole.
func (k *Keeper) Read(ctx context.Context, names devserver.SecretNames) (*Set, error) {
	found := map[string]*secret{}
	for _, name := range names.All() {
		is, err := k.describe(ctx, name)
		if err != nil {
			return nil, err
		}
		found[name] = is
	}
	version := versionOf(names, found)
	if version == "" {
		return nil, nil
	}
	ca, err := k.value(ctx, names.CA)
	return &Set{Version: version, CACertificate: ca}, err
}

// Remove takes down what the outputs list. What is gone already is no error; what bears another owner's ID is left alone.
func (k *Keeper) Remove(ctx context.Context, by Claim, had Outputs) error {
	kept, err := decode(had.Rendered)
	if err != nil {
		return err
	}
	return k.remove(ctx, kept, func(id string) bool { return !by.Owner.IsNot(id) })
}

// TakeBack removes what an apply made that failed. What does not bear the owner's ID came from others.
func (k *Keeper) TakeBack(ctx context.Context, by Claim, p *Progress) error {
	err := k.remove(ctx, p.begun, by.Owner.Is)
	if err == nil {
		p.begun = View{}
	}
	return err
}

func (k *Keeper) remove(ctx context.Context, kept View, may func(ownerID string) bool) error {
	var errs []error
	for _, s := range kept.Secrets {
		errs = append(errs, k.delete(ctx, s.Name, may))
	}
	return errors.Join(errs...)
}

// There are the names that are taken, with the tags of what has them. What may not be looked at is left out.
func (k *Keeper) There(ctx context.Context, names devserver.SecretNames) ([]ownership.Clash, error) {
	var found []ownership.Clash
	var errs []error
	for _, name := range names.All() {
		is, err := k.describe(ctx, name)
		switch {
		case err != nil && !awsapi.IsAccessDenied(err):
			errs = append(errs, err)
		case is != nil && !(is.deleted && k.removed(is.tags[ownership.TagECSID])):
			tags := maps.Clone(is.tags)
			found = append(found, ownership.Clash{What: whatSecret(name), Tags: tags})
		}
	}
	return found, errors.Join(errs...)
}
