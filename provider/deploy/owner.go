package deploy

import (
	"crypto/rand"
	"fmt"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Owner is the resource that something in AWS was made for.
type Owner struct {
	Name string // kind/region/name, which the resources of two configurations may share
	ID   string // random and made with the resource; "" until then, and of one that was imported from what others made
}

// OwnerName names a resource in the tags of what it makes.
func OwnerName(kind, region, name string) string {
	return fmt.Sprintf("%s/%s/%s", kind, region, name)
}

// NewOwnerID makes the ID of a new resource.
func NewOwnerID() *string { return aws.String(rand.Text()) }

// Tags of what a resource makes: whose it is, for people and for the resource itself. IAM's and ECS's are spelt as the mesh's
// other tags there. Roles and services of the right name may be another configuration's, and roles another Region's, too.
const (
	tagRoleOwner   = "consul.hashicorp.com.owner"
	tagRoleOwnerID = "consul.hashicorp.com.owner-id"
	tagECSOwner    = "consul.hashicorp.com/owner"
	tagECSOwnerID  = "consul.hashicorp.com/owner-id"
)

// is reports whether an object that bears an owner's ID, or "", is this owner's.
func (o Owner) is(id string) bool { return o.ID != "" && id == o.ID }

// registered reports whether the owner registered a revision with the tags.
func (o Owner) registered(tags map[string]string) bool { return o.is(tags[tagECSOwnerID]) }

// isNot reports whether an object is surely another's. One that bears no ID may have lost it.
func (o Owner) isNot(id string) bool { return o.ID != "" && id != "" && id != o.ID }

// onRole and onECS are the owner as tags.
func (o Owner) onRole() map[string]string {
	return o.tags(tagRoleOwner, tagRoleOwnerID)
}

func (o Owner) onECS() map[string]string {
	return o.tags(tagECSOwner, tagECSOwnerID)
}

func (o Owner) tags(name, id string) map[string]string {
	tags := map[string]string{name: o.Name}
	if o.ID != "" {
		tags[id] = o.ID
	}
	return tags
}

// withoutID are the tags of a definition, a service or a role but for the owner's ID, which a plan cannot know before the resource
// is made.
func withoutID(tags map[string]string) map[string]string {
	shown := maps.Clone(tags)
	delete(shown, tagRoleOwnerID)
	delete(shown, tagECSOwnerID)
	return shown
}

// OwnerIDOf is the ID of the resource that made an ECS object with the tags, if it was one of the name; nil if not.
func OwnerIDOf(name string, tags map[string]string) *string {
	if id := tags[tagECSOwnerID]; tags[tagECSOwner] == name && id != "" {
		return &id
	}
	return nil
}
