// Package ownership tells what a resource made from what others made, by the tags of it.
package ownership

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/provider/canonical"
)

// Owner is the resource that something in AWS was made for.
type Owner struct {
	Name string // kind/region/name, which the resources of two configurations may share
	ID   string // random and made with the resource; "" until then, and of one that was imported from what others made
}

// Name names a resource in the tags of what it makes.
func Name(kind, region, name string) string {
	return fmt.Sprintf("%s/%s/%s", kind, region, name)
}

// RegionOf is the Region in the name of an owner; "" if there is none.
func RegionOf(name string) string {
	_, rest, _ := strings.Cut(name, "/")
	region, _, _ := strings.Cut(rest, "/")
	return region
}

// NewID makes the ID of a new resource.
func NewID() *string { return aws.String(rand.Text()) }

// Derived is an ID that follows from names: for what several resources make together, each of which has to know it for its own.
func Derived(names ...string) string {
	const length = 26 // of what NewID makes
	sum := sha256.Sum256([]byte(strings.Join(names, "\x00")))
	return base32.StdEncoding.EncodeToString(sum[:])[:length]
}

// Tags of what a resource makes: whose it is, for people and for the resource itself. IAM's and ECS's are spelt as the mesh's
// other tags there; those of queues and rules are as ECS's. Roles and services of the right name may be another configuration's,
// and roles another Region's, too.
const (
	TagRole   = "consul.hashicorp.com.owner"
	TagRoleID = "consul.hashicorp.com.owner-id"
	TagECS    = "consul.hashicorp.com/owner"
	TagECSID  = "consul.hashicorp.com/owner-id"
)

// Is reports whether an object that bears an owner's ID, or "", is this owner's.
func (o Owner) Is(id string) bool { return o.ID != "" && id == o.ID }

// Registered reports whether the owner registered a revision with the tags.
func (o Owner) Registered(tags map[string]string) bool { return o.Is(tags[TagECSID]) }

// IsNot reports whether an object is surely another's. One that bears no ID may have lost it.
func (o Owner) IsNot(id string) bool { return o.ID != "" && id != "" && id != o.ID }

// OnRole is the owner as tags of a role.
func (o Owner) OnRole() map[string]string { return o.tags(TagRole, TagRoleID) }

// OnECS is the owner as tags of anything else.
func (o Owner) OnECS() map[string]string { return o.tags(TagECS, TagECSID) }

func (o Owner) tags(name, id string) map[string]string {
	tags := map[string]string{name: o.Name}
	if o.ID != "" {
		tags[id] = o.ID
	}
	return tags
}

// Shown are tags as the owner's state shows them: the values, which their author may have marked sensitive, as short hashes, and not
// the owner's ID, which stands elsewhere.
func (o Owner) Shown(tags map[string]string) map[string]string {
	shown := WithoutID(tags)
	for key, value := range shown {
		if !slices.ContainsFunc(mesh.TagPrefixes(), func(prefix string) bool { return strings.HasPrefix(key, prefix) }) {
			shown[key] = canonical.Hidden(o.Name, value)
		}
	}
	return shown
}

// WithoutID are tags but for the owner's ID, which a plan cannot know before the resource is made.
func WithoutID(tags map[string]string) map[string]string {
	shown := maps.Clone(tags)
	delete(shown, TagRoleID)
	delete(shown, TagECSID)
	return shown
}

// IDOf is the ID of the resource that made an object with the tags, if it was one of the name; nil if not.
func IDOf(name string, tags map[string]string) *string {
	if id := tags[TagECSID]; tags[TagECS] == name && id != "" {
		return &id
	}
	return nil
}

// Change is what makes tags what is wanted: those to set, and the keys to remove, sorted. Of what had lists and want does not,
// nothing stays; what others added is theirs.
func Change(want, had, found map[string]string) (set map[string]string, remove []string) {
	set = maps.Clone(want)
	maps.DeleteFunc(set, func(key, value string) bool { is, ok := found[key]; return ok && is == value })
	for _, key := range slices.Sorted(maps.Keys(had)) {
		if _, ok := want[key]; !ok {
			remove = append(remove, key)
		}
	}
	return set, remove
}

// Clash is something that has the name of what a resource is to make, and is another's.
type Clash struct {
	What string
	Tags map[string]string
}

// String says what there is and whose it is.
func (c Clash) String() string {
	for name, id := range map[string]string{TagECS: TagECSID, TagRole: TagRoleID} {
		if owner := c.Tags[name]; owner != "" {
			return fmt.Sprintf("%s exists already and belongs to another resource, %s with the owner ID %q, perhaps of another configuration or of a create that was cut off",
				c.What, owner, c.Tags[id])
		}
	}
	return c.What + " exists already and was not made by a resource of this provider"
}

// Remedy says what to do about clashes.
const Remedy = "choose other names (iam.name_prefix is for roles, which all Regions share), import what is there, remove it, or set adopt_existing = true to take it over"

// Taken is the clash as an error.
func Taken(c Clash) error { return fmt.Errorf("%s\nhint: %s", c, Remedy) }
