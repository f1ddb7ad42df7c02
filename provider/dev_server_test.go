package provider_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
)

// devServer is a server of which nothing is waited for: the emulator's tasks never run.
func devServer(at surroundings, changes fields) fields {
	return with(fields{"cluster": at.ecsCluster, "subnets": []any{at.subnet}, "security_groups": []any{at.group}, "launch_type": "EC2", "wait_for_steady_state": false}, changes)
}

// fullDevServer has something of everything, but for what the block of a task has in common with a mesh task's.
func fullDevServer(name string, at surroundings) fields {
	const registry, secret = "arn:aws:servicediscovery:us-east-1:123456789012:service/srv-1", "arn:aws:secretsmanager:us-east-1:123456789012:secret:"
	return devServer(at, fields{
		"name": name, "datacenter": "dc2", "dns_name": "consul.example.com", "image": "consul:1", "log_level": "DEBUG", "pull_credentials_secret_arn": secret + "registry",
		"log_configuration": fields{"log_driver": "awslogs", "options": fields{"awslogs-group": "/app", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "app"}},
		"task":              fields{"cpu": 512, "memory": 1024, "launch_types": []any{"EC2"}, "volume": []any{fields{"name": "data"}}}, "data_volume": "data",
		"service_registry": []any{fields{"registry_arn": registry}}, "iam": fields{"path": "/x/", "task_role": fields{"name": name + "-t"}, "execution_role": fields{"name": name + "-e"}},
		"tags": fields{"env": "test"},
	})
}

const devServerName = "consulecs_dev_server.this"

// devServerConfig is a configuration of a server that has attributes alone.
func devServerConfig(t *testing.T, c cloud, server fields) string {
	t.Helper()
	text := c.provider() + "resource \"consulecs_dev_server\" \"this\" {\n"
	for _, name := range slices.Sorted(maps.Keys(server)) {
		value, err := json.Marshal(server[name])
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("  %s = %s\n", name, value)
	}
	return text + "}\n"
}

func (c cloud) secretsManager() *secretsmanager.Client { return secretsmanager.NewFromConfig(c.config) }

// secretValues are the values of a family's secrets, by the last part of their names.
func (c cloud) secretValues(t *testing.T, family string) map[string]string {
	t.Helper()
	values := map[string]string{}
	for _, part := range []string{"ca", "bootstrap-token", "server"} {
		is, err := c.secretsManager().GetSecretValue(context.Background(), &secretsmanager.GetSecretValueInput{SecretId: aws.String(family + "/" + part)})
		if err == nil {
			values[part] = aws.ToString(is.SecretString)
		}
	}
	return values
}

func TestADevServerIsMadeChangedAndDestroyed(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	at := c.ecsClusterAlone(t, "dev-server")
	const family = "consul-dev-server-dev-server"
	empty := resource.ConfigPlanChecks{PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
	does := func(action plancheck.ResourceActionType) resource.ConfigPlanChecks {
		return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(devServerName, action)}, PostApplyPostRefresh: empty.PostApplyPostRefresh}
	}
	spelled := append(slices.Clone(spelledOut), "datacenter", "image", "log_level")
	var was map[string]string
	same := func(parts ...string) resource.TestCheckFunc {
		return inAWS(func() error {
			is := c.secretValues(t, family)
			var errs []error
			for _, part := range []string{"ca", "bootstrap-token", "server"} {
				if is[part] == "" || (is[part] == was[part]) != slices.Contains(parts, part) {
					errs = append(errs, fmt.Errorf("secret %s: it is there: %t, it is the same: %t", part, is[part] != "", is[part] == was[part]))
				}
			}
			was = is
			return errors.Join(errs...)
		})
	}
	all := []string{"ca", "bootstrap-token", "server"}
	service := aws.String("consul-dev-server")
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		CheckDestroy: resource.ComposeAggregateTestCheckFunc(c.nothingLeft(t, family), inAWS(func() error {
			if left := c.secretValues(t, family); len(left) > 0 {
				return fmt.Errorf("%d secrets are left", len(left))
			}
			return nil
		})),
		Steps: []resource.TestStep{
			{Config: devServerConfig(t, c, devServer(at, nil)), ConfigPlanChecks: empty, Check: resource.ComposeAggregateTestCheckFunc(same(), c.devServerIs(t, family, 1), c.devServerHas(t, family))},
			{ResourceName: devServerName, ImportState: true, ImportStateVerify: true, ImportStateId: "dev-server/consul-dev-server", ImportStateVerifyIgnore: spelled},
			{ // in place: neither the keys nor the service change
				Config:           devServerConfig(t, c, devServer(at, fields{"log_level": "DEBUG", "tags": fields{"env": "trial"}})),
				ConfigPlanChecks: does(plancheck.ResourceActionUpdate), Check: resource.ComposeAggregateTestCheckFunc(same(all...), c.devServerIs(t, family, 2)),
			},
			{ // a tag, lost in Secrets Manager, comes back
				PreConfig: func() {
					_, err := c.secretsManager().UntagResource(t.Context(), &secretsmanager.UntagResourceInput{SecretId: aws.String(family + "/ca"), TagKeys: []string{"env"}})
					if err != nil {
						t.Fatal(err)
					}
				},
				Config:           devServerConfig(t, c, devServer(at, fields{"log_level": "DEBUG", "tags": fields{"env": "trial"}})),
				ConfigPlanChecks: does(plancheck.ResourceActionUpdate), Check: resource.ComposeAggregateTestCheckFunc(same(all...), c.devServerIs(t, family, 2)),
			},
			{ // one secret is gone, and somebody has stopped the server: the keys are made anew, as they go together
				PreConfig: func() {
					_, err := c.secretsManager().DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: aws.String(family + "/server"), RecoveryWindowInDays: aws.Int64(7)})
					_, scaled := c.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: &at.ecsCluster, Service: service, DesiredCount: aws.Int32(0)})
					if err := errors.Join(err, scaled); err != nil {
						t.Fatal(err)
					}
				},
				Config:           devServerConfig(t, c, devServer(at, nil)),
				ConfigPlanChecks: does(plancheck.ResourceActionUpdate), Check: resource.ComposeAggregateTestCheckFunc(same(), c.devServerIs(t, family, 3)),
			},
			{ // somebody wrote to one
				PreConfig: func() {
					_, err := c.secretsManager().PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String(family + "/bootstrap-token"), SecretString: aws.String("x")})
					if err != nil {
						t.Fatal(err)
					}
				},
				Config:           devServerConfig(t, c, devServer(at, nil)),
				ConfigPlanChecks: does(plancheck.ResourceActionUpdate), Check: same(),
			},
			{ // another name has another certificate
				Config:           devServerConfig(t, c, devServer(at, fields{"dns_name": "consul.mesh.internal"})),
				ConfigPlanChecks: does(plancheck.ResourceActionDestroyBeforeCreate), Check: resource.ComposeAggregateTestCheckFunc(same(), resource.TestCheckResourceAttr(devServerName, "https_address", "consul.mesh.internal:8501")),
			},
			{ResourceName: devServerName, ImportState: true, ImportStateVerify: true, ImportStateId: "dev-server/consul-dev-server", ImportStateVerifyIgnore: spelled},
		},
	})
}

// devServerIs checks that the service is to run one task of the revision.
func (c cloud) devServerIs(t *testing.T, family string, revision int) resource.TestCheckFunc {
	return inAWS(func() error {
		is, err := c.ecs.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("dev-server"), Services: []string{"consul-dev-server"}})
		if err != nil {
			return err
		}
		s := is.Services[0]
		if s.DesiredCount != 1 || !strings.HasSuffix(aws.ToString(s.TaskDefinition), fmt.Sprintf("/%s:%d", family, revision)) {
			return fmt.Errorf("the service is to run %d of %s", s.DesiredCount, aws.ToString(s.TaskDefinition))
		}
		return nil
	})
}

// devServerHas checks that the state names what there is.
func (c cloud) devServerHas(t *testing.T, family string) resource.TestCheckFunc {
	return func(state *terraform.State) error {
		is, values := state.RootModule().Resources[devServerName].Primary.Attributes, c.secretValues(t, family)
		if is["ca_certificate_pem"] != values["ca"] || is["server_name"] != "server.dc1.consul" || is["host"] != "" {
			return fmt.Errorf("the state has %v", is)
		}
		for attribute, part := range map[string]string{"ca_secret_arn": "ca", "bootstrap_token_secret_arn": "bootstrap-token", "server_secret_arn": "server"} {
			found, err := c.secretsManager().DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: aws.String(is[attribute])})
			if err != nil || aws.ToString(found.Name) != family+"/"+part {
				return fmt.Errorf("%s is %s: %w", attribute, is[attribute], err)
			}
		}
		return nil
	}
}

// No value of a secret is in anything that Terraform prints or keeps, nor in what ECS registers.
func TestADevServersSecretsAreNowhereElse(t *testing.T) {
	t.Parallel()
	onEveryBinary(t, func(t *testing.T, on *binary) {
		c := on.startMoto(t)
		at := c.ecsClusterAlone(t, "dev-secrets")
		const family = "consul-dev-server-dev-secrets"
		dir := workDir(t)
		dir.write(t, "main.tf.json", c.frame(fields{"consulecs_dev_server": fields{"this": devServer(at, fields{"dns_name": "consul.mesh.internal"})}}))
		tf := on.terraform(t, dir)
		plan := filepath.Join(t.TempDir(), "plan")
		said := map[string]string{}
		run := func(args ...string) {
			out, err := tf.Output(t.Context(), args...)
			if err != nil {
				t.Fatal(err)
			}
			said[strings.Join(args[:2], " ")] += string(out)
		}
		run("plan", "-no-color", "-out="+plan)
		run("show", "-json", plan)
		run("apply", "-no-color", "-auto-approve", "-state="+tf.State())
		run("show", "-json", tf.State())
		run("show", "-no-color", tf.State())
		run("plan", "-json", "-destroy", "-state="+tf.State())
		state, err := os.ReadFile(tf.State())
		if err != nil {
			t.Fatal(err)
		}
		said["the state"] = string(state)
		described, err := c.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String(family)})
		if err != nil {
			t.Fatal(err)
		}
		definition, err := json.Marshal(described.TaskDefinition)
		if err != nil {
			t.Fatal(err)
		}
		said["the task definition"] = string(definition)
		var own map[string]string
		values := c.secretValues(t, family)
		if err := json.Unmarshal([]byte(values["server"]), &own); err != nil {
			t.Fatal(err)
		}
		lines := regexp.MustCompile(`[^\n]{20,}`).FindAllString(own["key"], -1)
		for _, secret := range append(lines, own["gossip_key"], values["bootstrap-token"]) {
			if strings.HasPrefix(secret, "-----") {
				continue
			}
			for where, text := range said {
				if strings.Contains(text, secret) {
					t.Errorf("%s has a secret", where)
				}
			}
		}
		if certificate := strings.ReplaceAll(values["ca"], "\n", `\n`); !strings.Contains(said["the state"], certificate) {
			t.Error("the search finds not even what is there: the state has no certificate")
		}
	})
}

func TestDevServersAreChecked(t *testing.T) {
	t.Parallel()
	at := surroundings{ecsCluster: "mesh", subnet: "subnet-1", group: "sg-1"}
	of := func(changes fields) fields { return devServer(at, changes) }
	const group = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/consul/0123456789abcdef"
	checkRows(t, "consulecs_dev_server", map[string]row{
		"only what is required":        {of(nil), ""},
		"a name with an underline":     {of(fields{"name": "my_server"}), "name | letters, digits and '-'"},
		"a name of no service":         {of(fields{"name": "my.server"}), "name | 1 to 255 letters"},
		"a datacenter":                 {of(fields{"datacenter": "DC1"}), "datacenter | small letters"},
		"a DNS name with a port":       {of(fields{"dns_name": "consul.internal:8501"}), "dns_name | without a port"},
		"a log level":                  {of(fields{"log_level": "loud"}), "log_level | loud"},
		"an image with a blank":        {of(fields{"image": "consul 1"}), "image | blank"},
		"a volume that is missing":     {of(fields{"data_volume": "data"}), "data_volume | no volume of the task"},
		"a volume of our name":         {of(fields{"task": fields{"volume": []any{fields{"name": "consul-server-data"}}}}), "task.volume[0].name | choose another name"},
		"a volume that is known later": {of(fields{"data_volume": later, "task": fields{"volume": []any{fields{"name": "data"}}}}), ""},
		"a Fargate pair":               {of(fields{"task": fields{"cpu": 256, "memory": 4096}}), "task.memory | 4096"},
		"a launch type":                {of(fields{"launch_type": "FARGATE", "task": fields{"launch_types": []any{"EC2"}}}), "launch_type | not one of the task's launch types [EC2]"},
		"a log router":                 {of(fields{"log_configuration": fields{"log_driver": "awsfirelens"}}), "log_configuration.log_driver | no log router"},
		"another port":                 {of(fields{"load_balancer": []any{fields{"target_group_arn": group, "port": 8500}}}), "load_balancer[0].port | 8501"},
		"a target group":               {of(fields{"load_balancer": []any{fields{"target_group_arn": "x", "port": 8501}}}), "load_balancer[0].target_group_arn | target group"},
		"balancers":                    {of(fields{"load_balancer": []any{fields{"target_group_arn": group, "port": 8501}, fields{"target_group_arn": group, "port": 8503}}}), ""},
		"a registry":                   {of(fields{"service_registry": []any{fields{"registry_arn": "x"}}}), "service_registry[0].registry_arn | Cloud Map"},
		"a key of the mesh":            {of(fields{"tags": fields{"consul.hashicorp.com/mesh": "true"}}), `tags["consul.hashicorp.com/mesh"] | choose another`},
		"a key that is misspelt":       {of(fields{"service_registry": []any{fields{"registry": "x"}}}), " | named"},
		"a role that is no role":       {of(fields{"iam": fields{"task_role": fields{"arn": "x"}}}), "iam.task_role.arn | ARN of an IAM role"},
		"a role of no name":            {of(fields{"iam": fields{"task_role": fields{"arn": ""}}}), "iam.task_role.arn | at least 1"},
		"no ECS cluster":               {of(fields{"cluster": ""}), "cluster | is empty"},
	})
}

// A create that ECS refuses takes back what it made, the secrets among it.
func TestADevServerThatIsRefusedLeavesNothing(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	at := c.ecsClusterAlone(t, "dev-refused")
	at.ecsCluster = "not-there"
	const family = "consul-dev-server-not-there"
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		Steps:                    []resource.TestStep{{Config: devServerConfig(t, c, devServer(at, nil)), ExpectError: regexp.MustCompile(`what\s+this\s+create\s+had\s+made\s+was\s+removed\s+again`)}},
	})
	if left := c.secretValues(t, family); len(left) > 0 {
		t.Errorf("%d secrets are left", len(left))
	}
	if roles, revisions := c.roles(t, family), c.active(t, family); len(roles)+len(revisions) > 0 {
		t.Errorf("left are the roles %v and the revisions %v", roles, revisions)
	}
}

// Names that others have are told at the plan, before anything is made, and are left alone.
func TestADevServerTakesNoSecretOfOthers(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	at := c.ecsClusterAlone(t, "dev-taken")
	name := aws.String("consul-dev-server-dev-taken/bootstrap-token")
	_, err := c.secretsManager().CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: name, SecretString: aws.String("of others"), Tags: []smtypes.Tag{{Key: aws.String("team"), Value: aws.String("a")}}})
	if err != nil {
		t.Fatal(err)
	}
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		Steps: []resource.TestStep{
			{Config: devServerConfig(t, c, devServer(at, nil)), ExpectError: regexp.MustCompile(`secret\s+consul-dev-server-dev-taken/bootstrap-token\s+exists\s+already`)},
			{Config: devServerConfig(t, c, devServer(at, fields{"adopt_existing": true}))},
		},
	})
}
