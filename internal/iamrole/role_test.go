package iamrole_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var home = iamrole.Home{Partition: "aws", Region: "eu-west-1", Account: "123456789012"}

func TestRolesMatchGoldens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]func() (iamrole.Role, error){
		"task": func() (iamrole.Role, error) {
			return iamrole.Task(iamrole.TaskSpec{Home: home, Family: "Web", ServiceName: "web", ACLs: true})
		},
		"task-without-acls": func() (iamrole.Role, error) {
			return iamrole.Task(iamrole.TaskSpec{Home: home, Family: "web", ServiceName: "web", Namespace: "team"})
		},
		"task-settings": func() (iamrole.Role, error) {
			return iamrole.Task(iamrole.TaskSpec{
				Home: iamrole.Home{Partition: "aws-us-gov", Region: "us-gov-west-1", Account: "123456789012"}, Family: "web", ServiceName: "web", ACLs: true,
				Settings: iamrole.Settings{
					Name: "own-name", Path: "/mesh/prod/", PermissionsBoundary: "arn:aws-us-gov:iam::123456789012:policy/boundary", AnySource: true,
					PolicyARNs: []string{"arn:aws-us-gov:iam::123456789012:policy/app"},
					Tags:       map[string]string{"env": "prod", "consul.hashicorp.com.service-name": "not-web"},
				},
			})
		},
		"task-services": func() (iamrole.Role, error) {
			return iamrole.Task(iamrole.TaskSpec{Home: home, Family: "web", ServiceName: "web", Further: []string{"web-admin", "web-grpc"}, ACLs: true})
		},
		"task-exec": func() (iamrole.Role, error) {
			return iamrole.Task(iamrole.TaskSpec{Home: home, Family: "web", ServiceName: "web", ACLs: true, Exec: true,
				Settings: iamrole.Settings{InlinePolicies: map[string]string{"queue": `{"Version":"2012-10-17","Statement":[]}`}}})
		},
		"controller-exec": func() (iamrole.Role, error) {
			return iamrole.Controller(iamrole.ControllerSpec{Home: home, Family: "ctl", Exec: true, ECSClusterARNs: []string{"arn:aws:ecs:eu-west-1:123456789012:cluster/prod"}})
		},
		"execution-nothing": func() (iamrole.Role, error) {
			return iamrole.Execution(iamrole.ExecutionSpec{Home: home, Family: "web", Containers: []ecstypes.ContainerDefinition{{Image: aws.String("registry.example/app:1")}}})
		},
		"server": func() (iamrole.Role, error) {
			return iamrole.Server(iamrole.ServerSpec{Home: home, Family: "consul-dev-server-prod", Settings: iamrole.Settings{Tags: map[string]string{"env": "trial"}}})
		},
		"runner": func() (iamrole.Role, error) { // the policy of somebody else's role
			return iamrole.Role{Policy: iamrole.RunPolicy(iamrole.RunSpec{
				Home: home, Family: "report", ECSClusterARN: "arn:aws:ecs:eu-west-1:123456789012:cluster/batch",
				RoleARNs: []string{"arn:aws:iam::123456789012:role/consul-ecs/report-task", "arn:aws:iam::123456789012:role/consul-ecs/report-execution"},
			})}, nil
		},
		"execution":    execution,
		"execution-cn": executionChina,
		"controller": func() (iamrole.Role, error) {
			return iamrole.Controller(iamrole.ControllerSpec{Home: home, Family: "ctl",
				ECSClusterARNs: []string{"arn:aws:ecs:eu-west-1:123456789012:cluster/prod"}, EventQueueARN: "arn:aws:sqs:eu-west-1:123456789012:ecs-events"})
		},
		"controller-login": func() (iamrole.Role, error) {
			return iamrole.Controller(iamrole.ControllerSpec{Home: home, Family: "ctl", LogsIn: true, FirstTokenSecretARN: "arn:aws:secretsmanager:eu-west-1:123456789012:secret:first-AbCdEf",
				KMSKeyARN: "arn:aws:kms:eu-west-1:123456789012:key/1", ECSClusterARNs: []string{"arn:aws:ecs:eu-west-1:123456789012:cluster/prod", "arn:aws:ecs:eu-west-1:123456789012:cluster/batch"}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			role, err := c()
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, filepath.Join("testdata", name+".golden.json"), render(t, role))
		})
	}
}

func execution() (iamrole.Role, error) {
	const secret = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
	return iamrole.Execution(iamrole.ExecutionSpec{
		Home: home, Family: "web", KMSKeyARNs: []string{"arn:aws:kms:eu-west-1:123456789012:key/k"},
		Containers: []ecstypes.ContainerDefinition{
			{
				Image: aws.String("210987654321.dkr.ecr.us-east-1.amazonaws.com/team/app@sha256:00"),
				Secrets: []ecstypes.Secret{
					{Name: aws.String("A"), ValueFrom: aws.String(secret + "db-AbCdEf:password::")},
					{Name: aws.String("B"), ValueFrom: aws.String(secret + "db-AbCdEf:user:AWSCURRENT:")},
					{Name: aws.String("C"), ValueFrom: aws.String("/app/flag")},
					{Name: aws.String("D"), ValueFrom: aws.String("arn:aws:ssm:us-east-1:123456789012:parameter/other")},
				},
				EnvironmentFiles: []ecstypes.EnvironmentFile{{Type: ecstypes.EnvironmentFileTypeS3, Value: aws.String("arn:aws:s3:::settings/web/app.env")}},
				LogConfiguration: &ecstypes.LogConfiguration{LogDriver: ecstypes.LogDriverAwslogs, Options: map[string]string{
					"awslogs-group": "/mesh/web", "awslogs-region": "us-east-1", "awslogs-create-group": "true"}},
			},
			{
				Image:           aws.String("registry.example/directory:1"),
				CredentialSpecs: []string{"credentialspecdomainless:arn:aws:s3:::settings/gmsa.json", "credentialspec:arn:aws:ssm:eu-west-1:123456789012:parameter/gmsa"},
			},
			{
				Image: aws.String("123456789012.dkr.ecr.eu-west-1.amazonaws.com/docker-hub/fluent/fluent-bit:3"),
				FirelensConfiguration: &ecstypes.FirelensConfiguration{Type: ecstypes.FirelensConfigurationTypeFluentbit,
					Options: map[string]string{"config-file-type": "s3", "config-file-value": "arn:aws:s3:::settings/fluent.conf"}},
			},
			{
				Image:                 aws.String("registry.example/consulecs-agent:1"),
				Secrets:               []ecstypes.Secret{{Name: aws.String("CONSUL_GRPC_CACERT_PEM"), ValueFrom: aws.String(secret + "ca-AbCdEf")}},
				RepositoryCredentials: &ecstypes.RepositoryCredentials{CredentialsParameter: aws.String(secret + "pull-AbCdEf")},
				LogConfiguration: &ecstypes.LogConfiguration{LogDriver: ecstypes.LogDriverSplunk,
					SecretOptions: []ecstypes.Secret{{Name: aws.String("splunk-token"), ValueFrom: aws.String(secret + "splunk-AbCdEf")}}},
			},
		},
	})
}

func executionChina() (iamrole.Role, error) {
	return iamrole.Execution(iamrole.ExecutionSpec{
		Home: iamrole.Home{Partition: "aws-cn", Region: "cn-north-1", Account: "123456789012"}, Family: "web",
		Containers: []ecstypes.ContainerDefinition{{
			Image:            aws.String("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/app:1"),
			LogConfiguration: &ecstypes.LogConfiguration{LogDriver: ecstypes.LogDriverAwslogs},
			Secrets:          []ecstypes.Secret{{Name: aws.String("A"), ValueFrom: aws.String("flag")}},
		}},
	})
}

// render writes a role with its documents as JSON, which a reader sees better than JSON in strings.
func render(t *testing.T, r iamrole.Role) []byte {
	t.Helper()
	document := func(text string) any {
		if text == "" {
			return nil
		}
		return json.RawMessage(text)
	}
	out := map[string]any{"name": r.Name, "path": r.Path, "arn": r.ARN, "trustPolicy": document(r.TrustPolicy), "policyName": r.PolicyName,
		"policy": document(r.Policy), "inlinePolicies": r.InlinePolicies, "policyArns": r.PolicyARNs, "permissionsBoundary": r.PermissionsBoundary, "tags": r.Tags}
	b, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

func compareGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("read the golden file, which -update writes: %v", err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s (-want +got):\n%s", name, cmp.Diff(string(want), string(got)))
	}
}

func TestTheARNOfARoleIsKnownBeforeTheRole(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]iamrole.Settings{
		"defaults": {}, "a path": {Path: "/mesh/prod/"}, "a name": {Name: "own", NamePrefix: "not-"}, "a prefix": {NamePrefix: "eu-"},
	} {
		task, err := iamrole.Task(iamrole.TaskSpec{Home: home, Settings: settings, Family: "web"})
		if err != nil {
			t.Fatal(err)
		}
		execution, err := iamrole.Execution(iamrole.ExecutionSpec{Home: home, Settings: settings, Family: "web"})
		if err != nil {
			t.Fatal(err)
		}
		if got := iamrole.TaskRoleARN(home, settings, "web"); got != task.ARN {
			t.Errorf("%s: %s, want %s", name, got, task.ARN)
		}
		if got := iamrole.ExecutionRoleARN(home, settings, "web"); got != execution.ARN {
			t.Errorf("%s: %s, want %s", name, got, execution.ARN)
		}
	}
	if got := iamrole.TaskRoleARN(home, iamrole.Settings{Path: "/no-end"}, "web"); got != "" {
		t.Errorf("a role that cannot be made has the ARN %s", got)
	}
}

func TestNamesKeepToIAMsLimit(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 55)
	for family, want := range map[string]string{
		"web":      "web-execution",
		long[:54]:  long[:54] + "-execution",
		long:       long[:45] + "-9f4390f8-execution",
		long + "b": long[:45] + "-771c8bf3-execution",
	} {
		role, err := iamrole.Execution(iamrole.ExecutionSpec{Home: home, Family: family})
		if err != nil {
			t.Fatal(err)
		}
		if role.Name != want || len(role.Name) > 64 {
			t.Errorf("got %s, want %s", role.Name, want)
		}
	}
}

func TestRolesThatIAMWouldRefuse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		home     iamrole.Home
		settings iamrole.Settings
		want     string
	}{
		"no account":    {iamrole.Home{Partition: "aws", Region: "r"}, iamrole.Settings{}, "make role web-task: the AWS partition, Region or account is not known"},
		"path":          {home, iamrole.Settings{Path: "/test"}, `make role web-task: path is "/test", want an IAM path that begins and ends with '/'`},
		"name":          {home, iamrole.Settings{Name: "a b"}, "make role a b: want a name of 1 to 64 letters, digits and +=,.@_-"},
		"name too long": {home, iamrole.Settings{Name: strings.Repeat("n", 65)}, "make role " + strings.Repeat("n", 65) + ": want a name of 1 to 64 letters, digits and +=,.@_-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := iamrole.Task(iamrole.TaskSpec{Home: c.home, Settings: c.settings, Family: "web"})
			if err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func manySecrets(n int) (iamrole.Role, error) {
	var secrets []ecstypes.Secret
	for i := range n {
		secrets = append(secrets, ecstypes.Secret{ValueFrom: aws.String(fmt.Sprintf("arn:aws:secretsmanager:eu-west-1:123456789012:secret:secret-number-%d-AbCdEf", i))})
	}
	return iamrole.Execution(iamrole.ExecutionSpec{Home: home, Family: "web", Containers: []ecstypes.ContainerDefinition{{Secrets: secrets}}})
}

func TestPoliciesBeyondIAMsLimitAreRefused(t *testing.T) {
	t.Parallel()
	_, err := manySecrets(150)
	want := "make role web-execution: its policy has 12173 characters, IAM takes 10240: it names 150 secrets and 0 parameters\n" +
		"hint: keep several values in one secret, whose JSON keys references name (arn:…:secret:<name>:<key>::), or give the task an execution role of your own"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestManySecretsAreGrantedBriefly looks at the policies about the size from which each secret has one pattern, not two ARNs.
func TestManySecretsAreGrantedBriefly(t *testing.T) {
	t.Parallel()
	for n, want := range map[int][]string{
		50:  {"secret-number-7-AbCdEf\"", "secret-number-7-AbCdEf-??????\""},
		120: {"secret-number-7-AbCdEf*\""},
	} {
		role, err := manySecrets(n)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(role.Policy, "secret-number-7-"); got != len(want) || len(role.Policy) > 10240 {
			t.Errorf("%d secrets: %d resources for one in %d characters, want %d in at most 10240", n, got, len(role.Policy), len(want))
		}
		for _, resource := range want {
			if !strings.Contains(role.Policy, resource) {
				t.Errorf("%d secrets: no resource ends in %s", n, resource)
			}
		}
	}
}

func TestASecretIsGrantedWhateverItsARNLooksLike(t *testing.T) {
	t.Parallel()
	const secret = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
	role, err := iamrole.Execution(iamrole.ExecutionSpec{Home: home, Family: "web", Containers: []ecstypes.ContainerDefinition{{Secrets: []ecstypes.Secret{
		{ValueFrom: aws.String(secret + "db-AbCdEf")}, {ValueFrom: aws.String(secret + "db:password::")},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"db-AbCdEf", "db-AbCdEf-??????", "db", "db-??????"} {
		if !strings.Contains(role.Policy, `"`+secret+name+`"`) {
			t.Errorf("%s is not granted: %s", name, role.Policy)
		}
	}
}
