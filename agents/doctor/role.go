package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/hashicorp/consul-awsauth/responses"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

// maxSkew is how far a clock may be off: AWS refuses signatures from further away.
const maxSkew = 5 * time.Minute

// role is the task role as IAM has it.
type role struct {
	name string // sts
	arn  string // iam-get-role; "" where nobody may or needs to ask
	tags map[string]string
}

// logsIn computes the settings of the login, with what is the task's own if there is a task. Without a login it says why.
func (f *facts) logsIn() (settings consul.Settings, why string, err error) {
	var task taskmeta.Task
	if f.task != nil {
		task = f.task.Task
	}
	settings, err = consul.SettingsOf(f.cfg, task, f.getenv)
	switch {
	case err != nil || settings.Login != nil:
		return settings, "", err
	case settings.Token != "":
		return settings, "nobody logs in: there is a static token in " + mesh.VariableToken, nil
	}
	return settings, "nobody logs in: consulLogin.enabled is not true", nil
}

func (f *facts) lookCredentials(ctx context.Context) Finding {
	settings, why, err := f.logsIn()
	switch {
	case err != nil:
		return failed(err, "")
	case why != "":
		return notAsked("%s", why)
	}
	f.login = *settings.Login
	f.aws, err = awsapi.Load(ctx, awsapi.Config{Region: f.login.Region, Endpoints: map[string]string{
		awsapi.ServiceSTS: f.login.STSEndpoint, awsapi.ServiceIAM: f.login.IAMEndpoint,
	}})
	if err != nil {
		return failed(err, "")
	}
	f.aws.Retryer = func() aws.Retryer { return aws.NopRetryer{} } // whoever waits wants to hear of the first trouble
	credentials, err := f.aws.Credentials.Retrieve(ctx)
	if err != nil {
		return fail("none: "+err.Error(), "give the task definition a task role (taskRoleArn): ECS then sets AWS_CONTAINER_CREDENTIALS_RELATIVE_URI in its containers")
	}
	return credentialsFinding(credentials)
}

// credentialsFinding tells a task role's credentials from those of others.
func credentialsFinding(c aws.Credentials) Finding {
	if c.Source == "EC2RoleProvider" {
		return fail("those of the EC2 instance, not of a task role", "give the task definition a task role (taskRoleArn)")
	}
	found := "from " + c.Source
	if c.CanExpire {
		found += ", good until " + c.Expires.UTC().Format(time.RFC3339)
	}
	return ok("%s", found)
}

// asked says where a call went, for people.
func asked(endpoint *string, service, region string) string {
	if endpoint != nil {
		return *endpoint
	}
	return "AWS's " + service + " for " + region
}

func (f *facts) lookSTS(ctx context.Context) Finding {
	if f.login.Method == "" {
		return notAsked("nobody logs in")
	}
	client := awsapi.STS(f.aws)
	at := asked(client.Options().BaseEndpoint, "STS", f.aws.Region)
	began := time.Now()
	self, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	took := time.Since(began).Round(time.Millisecond)
	switch {
	case err != nil && awsapi.IsAccessDenied(err):
		return fail(fmt.Sprintf("%s: %v", at, err), "AWS refuses the credentials: see the task role and its trust in ecs-tasks.amazonaws.com, and this host's clock")
	case err != nil:
		return fail(fmt.Sprintf("%s does not answer: %v", at, err), fmt.Sprintf("let the task reach STS: by a NAT gateway, a public address, or a VPC endpoint for com.amazonaws.%s.sts; consulLogin.stsEndpoint names another address", f.aws.Region))
	}
	skew, _ := skewOf(self)
	finding, name := callerFinding(aws.ToString(self.Arn), skew)
	f.role.name = name
	if finding.Status == OK {
		finding.Found += fmt.Sprintf(", by %s in %s", at, took)
	}
	return finding
}

// skewOf is how far AWS's clock is ahead of ours. The header that tells it counts seconds.
func skewOf(out *sts.GetCallerIdentityOutput) (skew time.Duration, known bool) {
	theirs, told := awsmiddleware.GetServerTime(out.ResultMetadata)
	ours, at := awsmiddleware.GetResponseAt(out.ResultMetadata)
	return theirs.Sub(ours), told && at
}

// callerFinding decides whether a caller is a role that may log in. skew is how far AWS's clock is ahead of ours.
func callerFinding(arn string, skew time.Duration) (found Finding, roleName string) {
	id, err := responses.ParseArn(arn)
	if err != nil {
		return fail(fmt.Sprintf("%q: %v", arn, err), "log in as a task role"), ""
	}
	switch {
	case id.Type == "user":
		return fail("the IAM user "+id.FriendlyName+", not a task role", "run the doctor in a container of the task, without AWS credentials of people"), ""
	case skew.Abs() > maxSkew:
		return fail(fmt.Sprintf("role %s, but this host's clock is %s off AWS's", id.FriendlyName, skew.Abs().Round(time.Second)), "set the host's clock: AWS refuses the login's signature"), id.FriendlyName
	}
	return ok("role %s of account %s", id.FriendlyName, id.AccountNumber), id.FriendlyName
}

func (f *facts) lookRole(ctx context.Context) Finding {
	switch {
	case f.login.Method == "":
		return notAsked("nobody logs in")
	case !f.login.IncludeEntity:
		return notAsked("consulLogin.includeEntity is false: Consul does not ask who the role is")
	}
	client := awsapi.IAM(f.aws)
	at := asked(client.Options().BaseEndpoint, "IAM", f.aws.Region)
	answer, err := client.GetRole(ctx, &iam.GetRoleInput{RoleName: &f.role.name})
	switch {
	case err != nil && awsapi.IsNotFound(err):
		return fail(fmt.Sprintf("%s does not know role %s", at, f.role.name), "see consulLogin.iamEndpoint: it must be of the role's account")
	case err != nil && awsapi.IsAccessDenied(err):
		return fail(fmt.Sprintf("role %s may not read itself: %s", f.role.name, reasonOf(err)), "allow the task role iam:GetRole with itself as the resource")
	case err != nil:
		return fail(fmt.Sprintf("%s does not answer: %v", at, err), "let the task reach IAM by a NAT gateway or a public address; consulLogin.iamEndpoint names another address")
	}
	f.role.arn, f.role.tags = aws.ToString(answer.Role.Arn), map[string]string{}
	for _, tag := range answer.Role.Tags {
		f.role.tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return ok("%s reads itself", f.role.arn)
}

// reasonOf is the innermost cause, which is what AWS said.
func reasonOf(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

func (f *facts) lookRoleTags(context.Context) Finding {
	if f.role.arn == "" {
		return notAsked("nobody asks for the role's tags")
	}
	found := roleTagsFinding(f.role.tags, f.service())
	for n, pair := range f.cfg.Pairs("") {
		if n > 0 && found.Status == OK {
			found = furtherTagFinding(f.role.tags, mesh.RoleTagOfService(n), pair.Service.Name)
		}
	}
	return found
}

// furtherTagFinding decides whether a role with the tags stands for a further service, which has a tag of its own.
func furtherTagFinding(tags map[string]string, tag, service string) Finding {
	if got := tags[tag]; got != service {
		return fail(fmt.Sprintf("%s is %q, but the service is %q: its token would not be for it", tag, got, service), fmt.Sprintf("give the task role the tag %s with the value %q", tag, service))
	}
	return ok("%s is %q", tag, service)
}

// roleTagsFinding decides whether a role with the tags stands for the service.
func roleTagsFinding(tags map[string]string, service agentconfig.Service) Finding {
	got := tags[mesh.RoleTagServiceName]
	switch {
	case got == "":
		return fail("the role has no tag "+mesh.RoleTagServiceName, fmt.Sprintf("give the task role the tag %s with the value %q", mesh.RoleTagServiceName, service.Name))
	case service.Name == "":
		return skip("needs metadata: the service is named as the task family")
	case got != service.Name:
		return fail(fmt.Sprintf("%s is %q, but the service is %q: its token would be for another service", mesh.RoleTagServiceName, got, service.Name),
			"give each service a task role of its own, with the service's name in the tag")
	case mesh.CheckServiceName(got) != nil:
		return fail(mesh.CheckServiceName(got).Error(), "rename the service, in the configuration and in the tag")
	}
	if space := tags[mesh.RoleTagNamespace]; !sameScope(space, service.Namespace) {
		return fail(fmt.Sprintf("%s is %q, but the service's namespace is %q", mesh.RoleTagNamespace, space, service.Namespace), "set the tag of the task role to the namespace, or remove both")
	}
	return ok("%s is %q", mesh.RoleTagServiceName, got)
}

func (f *facts) lookRolePath(context.Context) Finding {
	if f.role.arn == "" {
		return notAsked("nobody asks for the role's path")
	}
	return rolePathFinding(f.role.arn, f.cfg.ControllerSettings().IAMRolePath)
}

// rolePathFinding looks whether the role lies under the path that the auth method admits, as far as a task knows it: only the
// controller is told another one than the default.
func rolePathFinding(arn, path string) Finding {
	_, resource, _ := strings.Cut(arn, ":role")
	if strings.HasPrefix(resource, path) {
		return ok("under %s", path)
	}
	return warn(fmt.Sprintf("the role is %s, not under %s", strings.TrimPrefix(resource, "/"), path),
		"where the login is refused: put the role under the path, or set controller.iamRolePath of the controller")
}
