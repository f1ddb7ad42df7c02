package iamrole

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Suffixes of the names of roles.
const (
	suffixTask      = "-task"
	suffixExecution = "-execution"
)

// maxName is IAM's limit for the name of a role, in characters.
const maxName = 64

// roleName is the family and the suffix, as the incumbent names roles, within IAM's 64 characters.
func roleName(family, suffix string) string { return mesh.NameWithin(maxName, family, suffix) }

var validName = regexp.MustCompile(`^[A-Za-z0-9+=,.@_-]{1,64}$`)

func (s Settings) name(family, suffix string) string {
	return cmp.Or(s.Name, roleName(s.NamePrefix+family, suffix))
}

// role is the role of the family without its policies.
func (s Settings) role(home Home, family, suffix, defaultPath string) (Role, error) {
	role := Role{
		Name:                s.name(family, suffix),
		Path:                cmp.Or(s.Path, defaultPath),
		PolicyARNs:          s.PolicyARNs,
		PermissionsBoundary: s.PermissionsBoundary,
		InlinePolicies:      s.InlinePolicies,
	}
	if err := agentconfig.CheckRolePath(role.Path); err != nil {
		return Role{}, fmt.Errorf("make role %s: path %w", role.Name, err)
	}
	switch {
	case home.Partition == "" || home.Region == "" || home.Account == "":
		return Role{}, fmt.Errorf("make role %s: the AWS partition, Region or account is not known", role.Name)
	case !validName.MatchString(role.Name):
		return Role{}, fmt.Errorf("make role %s: want a name of 1 to %d letters, digits and +=,.@_-", role.Name, maxName)
	}
	role.ARN = fmt.Sprintf("arn:%s:iam::%s:role%s%s", home.Partition, home.Account, role.Path, role.Name)
	role.Tags = maps.Clone(s.Tags)
	if role.Tags == nil {
		role.Tags = map[string]string{}
	}
	role.TrustPolicy = trust(home, s.AnySource).json()
	return role, nil
}

// MeshTags are the tags by which Consul's binding rules know a task role. The namespace is there even if it is empty, as
// on the incumbent's roles. Each further service has a tag of its own: what no tag names, no token of the task is for.
func MeshTags(service, namespace string, further ...string) map[string]string {
	tags := map[string]string{mesh.RoleTagServiceName: service, mesh.RoleTagNamespace: namespace}
	for i, name := range further {
		tags[mesh.RoleTagOfService(i+1)] = name
	}
	return tags
}
