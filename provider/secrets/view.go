package secrets

import (
	"maps"
	"slices"

	"github.com/consulecs/terraform-provider-consulecs/internal/devserver"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
)

// Outputs is what a resource computes of its secrets. None is secret itself.
type Outputs struct {
	CASecretARN     *string `tfsdk:"ca_secret_arn"`
	TokenSecretARN  *string `tfsdk:"bootstrap_token_secret_arn"`
	ServerSecretARN *string `tfsdk:"server_secret_arn"`
	CACertificate   *string `tfsdk:"ca_certificate_pem"`
	Version         *string `tfsdk:"secrets_version"`
	Rendered        *string `tfsdk:"rendered_secrets_json"`
}

// Decided are the outputs that a design leads to; none of no design. The version, and the certificate with it, stays what it was.
func Decided(d *Design, owner ownership.Owner, had Outputs) (Outputs, error) {
	if d == nil {
		return Outputs{}, nil
	}
	arn := func(name string) *string { text := devserver.SecretARN(d.Home, name); return &text }
	text, err := encode(viewOf(*d, owner).shownTo(owner))
	return Outputs{arn(d.Names.CA), arn(d.Names.Token), arn(d.Names.Server), had.CACertificate, had.Version, text}, err
}

// View is the secrets as far as a resource keeps them, but for their values: what others add is theirs and does not show.
type View struct {
	Secrets []SecretView `json:"secrets,omitempty"` // in the order in which they are made
}

// SecretView is a secret.
type SecretView struct {
	Name string            `json:"name"`
	Tags map[string]string `json:"tags"`

	description string // told once, when it is made
}

// viewOf is what is wanted, with the tags of its owner.
func viewOf(d Design, owner ownership.Owner) View {
	tags := maps.Clone(d.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	maps.Copy(tags, owner.OnECS())
	var v View
	for _, name := range d.Names.All() {
		v.Secrets = append(v.Secrets, SecretView{Name: name, Tags: tags, description: d.Names.Describe(name)})
	}
	return v
}

func (v View) has(name string) bool {
	return slices.ContainsFunc(v.Secrets, func(s SecretView) bool { return s.Name == name })
}

func (v View) tagsOf(name string) map[string]string {
	for _, s := range v.Secrets {
		if s.Name == name {
			return s.Tags
		}
	}
	return nil
}

// only are the tags whose keys are kept.
func only(all, kept map[string]string) map[string]string {
	found := maps.Clone(all)
	maps.DeleteFunc(found, func(key, _ string) bool { _, ok := kept[key]; return !ok })
	return found
}

// shownTo is the view as its owner's state shows it.
func (v View) shownTo(owner ownership.Owner) View {
	var shown View
	for _, s := range v.Secrets {
		s.Tags = owner.Shown(s.Tags)
		shown.Secrets = append(shown.Secrets, s)
	}
	return shown
}

// encode writes a view for the state; nil where there is nothing.
func encode(v View) (*string, error) {
	if len(v.Secrets) == 0 {
		return nil, nil
	}
	return ownership.Encode("secrets", v)
}

// decode reads what encode wrote.
func decode(text *string) (View, error) { return ownership.Decode[View]("secrets", text) }
