package acl

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/consul-awsauth/responses"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// ControllerMethod is the auth method by which controllers log in, unless another is named. It is not that of tasks: there, Consul refuses whoever
// has no tag with the name of a service, and the incumbent sees to it that it does.
const ControllerMethod = "consulecs-controller"

// controllerTTL is how long a controller's token lives if nothing else is said. Controllers log in again in time.
const controllerTTL = time.Hour

// rightsPolicy is the policy of a controller that looks after Consul's ACLs itself.
const rightsPolicy = "consulecs-controller-acl"

// Controller is a controller that logs in by its IAM role.
type Controller struct {
	Method      string // by which it logs in, such as ControllerMethod; not that of tasks
	Role        IAMRole
	ECSClusters []string // ARNs of those that it looks after
	WritesACL   bool     // it prepares Consul itself; else it has rights over the synthetic nodes of its ECS clusters alone
}

// IAMRole is an IAM role as Consul knows who logs in by it, where it does not ask IAM for more: without the role's path.
// Names are unique within an account, whatever the path.
type IAMRole struct {
	Partition, AccountID, Name string
}

// ARN is without the path.
func (r IAMRole) ARN() string {
	return "arn:" + r.Partition + ":iam::" + r.AccountID + ":role/" + r.Name
}

// RoleOf reads the ARN of an IAM role, or the one that STS has of those who act as it.
func RoleOf(arn string) (IAMRole, error) {
	parsed, err := responses.ParseArn(arn)
	if err != nil || parsed.Type != "role" && parsed.Type != "assumed-role" {
		return IAMRole{}, fmt.Errorf("%s is not the ARN of an IAM role", arn)
	}
	return IAMRole{Partition: parsed.Partition, AccountID: parsed.AccountNumber, Name: parsed.FriendlyName}, nil
}

// ControllerName is the name of the ACL policy and the ACL role of the controllers of an ECS cluster.
func ControllerName(ecsClusterARN string) string {
	_, name, _ := strings.Cut(ecsClusterARN, ":cluster/")
	sum := sha256.Sum256([]byte(ecsClusterARN))                                                              // two Regions or accounts may have ECS clusters of one name
	return fmt.Sprintf("consulecs-controller-%s-%s", name[:min(len(name), 80)], hex.EncodeToString(sum[:4])) // Consul takes 128 characters
}

// controllerRules let a controller keep the synthetic node of an ECS cluster, take services off it and lead. A right to write
// the node is one to take every service off it, and none to put one on it.
func controllerRules(ecsClusterARN, partition string) string {
	node := fmt.Sprintf("node %q {\n  policy = \"write\"\n}\n", ecsClusterARN)
	const services = "service_prefix \"\" {\n  policy = \"read\"\n}\n"
	lead := fmt.Sprintf("session %q {\n  policy = \"write\"\n}\nkey %q {\n  policy = \"write\"\n}\n", ecsClusterARN, mesh.ControllerKey(ecsClusterARN))
	if partition == "" {
		return node + services + lead
	}
	return node + within(anyNamespace, services) + within(`namespace "`+defaultNamespace+`"`, lead)
}

// rightsRules let a controller prepare Consul. Who may write ACLs may do everything, so that there is no harm in a right to
// write services: it lets many of them be taken off in one transaction.
func rightsRules(partition string) string {
	const agents = "agent_prefix \"\" {\n  policy = \"read\"\n}\n"
	const services = "service_prefix \"\" {\n  policy = \"write\"\n}\n"
	switch partition {
	case "":
		return "acl = \"write\"\n" + agents + services
	case defaultPartition:
		return "acl = \"write\"\noperator = \"write\"\n" + agents + within(anyNamespace, "acl = \"write\"\n"+services)
	}
	return "acl = \"write\"\n" + within(anyNamespace, "acl = \"write\"\n"+services)
}

func (w Wanted) controllerPolicies() []policy {
	if w.Controller == nil {
		return nil
	}
	var all []policy
	for _, arn := range w.Controller.ECSClusters {
		all = append(all, policy{Name: ControllerName(arn), Description: "Controllers of the ECS cluster " + arn, Rules: controllerRules(arn, w.Partition)})
	}
	if w.Controller.WritesACL {
		all = append(all, policy{Name: rightsPolicy, Description: "Controllers that look after Consul's ACLs", Rules: rightsRules(w.Partition)})
	}
	return all
}

// controllerRoles are one for each ECS cluster, so that no controller has rights over another's.
func (w Wanted) controllerRoles() []role {
	if w.Controller == nil {
		return nil
	}
	var all []role
	for _, arn := range w.Controller.ECSClusters {
		r := role{Name: ControllerName(arn), Description: "Controllers of the ECS cluster " + arn, policies: []string{ControllerName(arn)}}
		if w.Controller.WritesACL {
			r.policies = append(r.policies, rightsPolicy)
		} else {
			r.unlinked = []string{rightsPolicy}
		}
		all = append(all, r)
	}
	return all
}

// controllerMethod admits the IAM roles of controllers, and binds each to its ECS clusters.
func (w Wanted) controllerMethod() method {
	m := method{Method: w.Method, Description: "AWS IAM auth method for controllers of ECS clusters", firstTTL: controllerTTL}
	iamRole := w.Controller.Role
	m.Name, m.BoundPrincipals = w.Controller.Method, []string{iamRole.ARN()}
	for _, arn := range w.Controller.ECSClusters {
		m.rules = append(m.rules, bindingRule{ACLBindingRule: api.ACLBindingRule{
			Description: "Bind the role of an ECS cluster's controllers to the IAM role " + iamRole.ARN(),
			AuthMethod:  w.Controller.Method,
			BindType:    api.BindingRuleBindTypeRole,
			BindName:    ControllerName(arn),
			Selector:    fmt.Sprintf("account_id == %q and entity_name == %q", iamRole.AccountID, iamRole.Name),
		}})
	}
	return m
}

// Policies are the names and rules of all that Ensure would have in Consul, for people to read.
func (w Wanted) Policies() []api.ACLPolicy {
	all := w.policies()
	if w.AnonymousReads {
		all = append(all, w.anonymousPolicy())
	}
	var texts []api.ACLPolicy
	for _, p := range all {
		texts = append(texts, api.ACLPolicy{Name: p.Name, Description: p.Description, Rules: p.Rules})
	}
	return texts
}
