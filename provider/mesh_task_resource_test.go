package provider_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/consulecs/terraform-provider-consulecs/provider"
)

// spelledOut are attributes that an import spells out where the configuration leaves them to their defaults.
var spelledOut = slices.Concat([]string{
	"task", "outbound_only", "service.0.name", "service.0.enable_tag_override", "service.1.enable_tag_override", "timeouts", "ecs_service.name", "ecs_service.wait_for_steady_state", "ecs_service.enable_execute_command",
	"ecs_service.deployment_controller", "ecs_service.enable_ecs_managed_tags", "ecs_service.ignore_desired_count", "ecs_service.scheduling_strategy",
	"ecs_service.assign_public_ip", "ecs_service.health_check_grace_period_seconds", "ecs_service.platform_version", "enable_execute_command", "assign_public_ip", "log_json", "name", "wait_for_steady_state",
	"acls", "anonymous_reads", "dry_run", "http_address", "manage_acl", "max_writes_per_second", "trust_all_roles",
}, spelledOutOf("container.0."), spelledOutOf("container.1."), spelledOutOf("container.2."))

func spelledOutOf(container string) []string {
	var all []string
	for _, name := range []string{
		"essential", "privileged", "readonly_root_filesystem", "interactive", "pseudo_terminal", "disable_networking", "health_check.timeout", "health_check.retries", "health_check.start_period", "health_check.interval",
		"mount_point.0.read_only", "port_mapping.0.protocol", "port_mapping.0.host_port",
	} {
		all = append(all, container+name)
	}
	return all
}

const meshTaskName = "consulecs_mesh_task.this"

// richTask is a mesh task with something of everything.
func richTask(family, image string) string {
	return fmt.Sprintf(`
resource "consulecs_mesh_task" "this" {
  family = %q
  service {
    name = "%[1]s-svc"
    port = 9090
    tags = ["v1", "blue"]
    meta = { version = "1" }
    weights {
      passing = 10
      warning = 1
    }
    outlier_detection {
      interval = "30s"
      max_failures = 3
    }
  }
  upstream {
    destination_name  = "api"
    local_bind_port   = 1234
    mesh_gateway_mode = "local"
    config            = jsonencode({ connect_timeout_ms = 500 })
  }
  proxy {
    public_listener_port = 20001
    config               = jsonencode({ protocol = "http" })
    expose {
      checks = true
      path {
        path = "/health"
        listener_port = 21500
        local_path_port = 9090
      }
    }
  }
  task {
    cpu = 512
    memory = 1024
    launch_types = ["FARGATE"]
    runtime_platform {
      operating_system_family = "LINUX"
      cpu_architecture = "ARM64"
    }
    volume { name = "scratch" }
  }
  container {
    name      = "app"
    image     = %[2]q
    essential = true
    environment = { A = "1", B = "" }
    credential_specs = ["credentialspecdomainless:arn:aws:s3:::settings/gmsa.json"]
    secrets = { PASSWORD = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db:password::" }
    health_check {
      command = ["CMD", "/app", "health"]
      interval = 10
    }
    mount_point {
      source_volume = "scratch"
      container_path = "/scratch"
    }
    stop_timeout = 20
    log_configuration {
      log_driver = "awslogs"
      options = { awslogs-group = "/app", awslogs-region = "us-east-1", awslogs-stream-prefix = "app" }
    }
    linux_parameters { init_process_enabled = true }
    ulimit {
      name = "nofile"
      soft_limit = 1024
      hard_limit = 4096
    }
    depends_on {
      container_name = "migrate"
      condition = "SUCCESS"
    }
  }
  container {
    name      = "migrate"
    image     = "migrate:1"
    essential = false
    mesh { wait_for_proxy = false }
  }
  sidecars {
    log_level = "DEBUG"
    dataplane {
      memory = 128
      environment = { GODEBUG = "x" }
    }
  }
  iam {
    task_role {
      policy_arns = ["arn:aws:iam::123456789012:policy/reads"]
      inline_policies = { queue = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sqs:SendMessage", Resource = "*" }] }) }
      permissions_boundary = "arn:aws:iam::123456789012:policy/reads"
    }
    execution_role { kms_key_arns = ["arn:aws:kms:us-east-1:123456789012:key/1"] }
  }
  tags = { env = "test" }
}
`, family, image)
}

// plainTask is a mesh task with an environment variable and further attributes.
func plainTask(family, release, more string) string {
	return fmt.Sprintf(`
resource "consulecs_mesh_task" "this" {
  family    = %q
  service { port = 9090 }
  container {
    name = "app"
    image = "app:1"
    environment = { RELEASE = %q }
  }
  %s
}
`, family, release, more)
}

func step(config string, checks ...resource.TestCheckFunc) resource.TestStep {
	s := resource.TestStep{
		Config:           config,
		ConfigPlanChecks: resource.ConfigPlanChecks{PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
	}
	if len(checks) > 0 {
		s.Check = resource.ComposeAggregateTestCheckFunc(checks...)
	}
	return s
}

// drift is a step after something else than the resource has changed what is in AWS: it is seen and undone.
func drift(t *testing.T, config string, change func() error) resource.TestStep {
	t.Helper()
	s := step(config)
	s.PreConfig = func() {
		if err := change(); err != nil {
			t.Fatal(err)
		}
	}
	s.ConfigPlanChecks.PreApply = []plancheck.PlanCheck{plancheck.ExpectResourceAction(meshTaskName, plancheck.ResourceActionUpdate)}
	return s
}

// inAWS is a check of what is in AWS.
func inAWS(check func() error) resource.TestCheckFunc {
	return func(*terraform.State) error { return check() }
}

func (c cloud) wantRevisions(t *testing.T, family string, want ...string) resource.TestCheckFunc {
	return inAWS(func() error {
		if got := c.active(t, family); !slices.Equal(got, want) {
			return fmt.Errorf("active revisions of %s: %v, want %v", family, got, want)
		}
		return nil
	})
}

func (c cloud) nothingLeft(t *testing.T, family string) resource.TestCheckFunc {
	return inAWS(func() error {
		if revisions, roles := c.active(t, family), c.roles(t, family); len(revisions)+len(roles) > 0 {
			return fmt.Errorf("left of %s: revisions %v, roles %v", family, revisions, roles)
		}
		return nil
	})
}

func TestMeshTaskLivesAndIsImported(t *testing.T) {
	t.Parallel()
	const family = "rich"
	c := startMoto(t)
	if _, err := c.iam.CreatePolicy(t.Context(), &iam.CreatePolicyInput{PolicyName: aws.String("reads"), PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`)}); err != nil {
		t.Fatal(err)
	}
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		CheckDestroy:             c.nothingLeft(t, family),
		Steps: []resource.TestStep{
			{
				Config:           c.provider() + richTask(family, "app:1"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue(meshTaskName, tfjsonpath.New("service_name"), knownvalue.StringExact("rich-svc")),
					statecheck.ExpectKnownValue(meshTaskName, tfjsonpath.New("task_role_arn"), knownvalue.StringExact("arn:aws:iam::123456789012:role/consul-ecs/rich-task")),
					statecheck.ExpectKnownValue(meshTaskName, tfjsonpath.New("execution_role_name"), knownvalue.StringExact("rich-execution")),
					statecheck.ExpectKnownValue(meshTaskName, tfjsonpath.New("arn_without_revision"), knownvalue.StringExact("arn:aws:ecs:us-east-1:123456789012:task-definition/rich")),
					statecheck.ExpectKnownValue(meshTaskName, tfjsonpath.New("revision"), knownvalue.Int64Exact(1)),
					statecheck.ExpectKnownValue(meshTaskName, tfjsonpath.New("tags_all").AtMapKey("team"), knownvalue.StringExact("mesh")),
					statecheck.ExpectKnownValue(meshTaskName, tfjsonpath.New("ecs_service_arn"), knownvalue.Null()),
				},
			},
			{
				ResourceName: meshTaskName, ImportState: true, ImportStateVerify: true, ImportStateId: family, ImportStateVerifyIgnore: spelledOut,
			},
			{
				Config: c.provider() + richTask(family, "app:2"),
				ConfigPlanChecks: resource.ConfigPlanChecks{
					PreApply: []plancheck.PlanCheck{
						plancheck.ExpectResourceAction(meshTaskName, plancheck.ResourceActionUpdate),
						plancheck.ExpectUnknownValue(meshTaskName, tfjsonpath.New("arn")),
						plancheck.ExpectKnownValue(meshTaskName, tfjsonpath.New("task_role_name"), knownvalue.StringExact("rich-task")),
					},
					PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
				},
				Check: c.wantRevisions(t, family, "2"),
			},
			{
				ResourceName: meshTaskName, ImportState: true, ImportStateVerify: true, ImportStateId: family + ":2", ImportStateVerifyIgnore: spelledOut,
			},
		},
	})
}

func TestEarlierRevisionsAreKeptAsAsked(t *testing.T) {
	t.Parallel()
	const family = "keeping"
	c := startMoto(t)
	const keep = "revision_policy { keep = 1 }"
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		CheckDestroy:             c.nothingLeft(t, family),
		Steps: []resource.TestStep{
			step(c.provider()+plainTask(family, "1", keep), c.wantRevisions(t, family, "1")),
			step(c.provider()+plainTask(family, "2", keep), c.wantRevisions(t, family, "1", "2")),
			step(c.provider()+plainTask(family, "3", keep), c.wantRevisions(t, family, "2", "3")),
			step(c.provider()+plainTask(family, "3", ""), c.wantRevisions(t, family, "3")),
		},
	})
}

func TestTagsChangeWithoutANewRevision(t *testing.T) {
	t.Parallel()
	const family = "tagged"
	c := startMoto(t)
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		Steps: []resource.TestStep{
			step(c.provider() + plainTask(family, "1", `tags = { a = "1", b = "2" }`)),
			step(c.provider()+plainTask(family, "1", `tags = { a = "3" }`), c.wantRevisions(t, family, "1"), inAWS(func() error {
				described, err := c.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String(family), Include: []ecstypes.TaskDefinitionField{"TAGS"}})
				if err != nil {
					return err
				}
				tags := map[string]string{}
				for _, tag := range described.Tags {
					tags[*tag.Key] = *tag.Value
				}
				if _, stays := tags["b"]; stays || tags["a"] != "3" || tags["team"] != "mesh" {
					return fmt.Errorf("tags are %v", tags)
				}
				return nil
			})),
		},
	})
}

func TestChangesMadeElsewhereAreSeenAndUndone(t *testing.T) {
	t.Parallel()
	const family = "drifting"
	c := startMoto(t)
	config := c.provider() + plainTask(family, "1", "")
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		CheckDestroy:             c.nothingLeft(t, family),
		Steps: []resource.TestStep{
			step(config),
			drift(t, config, func() error { // deregistered
				_, err := c.ecs.DeregisterTaskDefinition(t.Context(), &ecs.DeregisterTaskDefinitionInput{TaskDefinition: aws.String(family + ":1")})
				return err
			}),
			drift(t, config, func() error { // a newer revision
				return c.registerElsewhere(t, family, func(d *ecstypes.TaskDefinition) { d.ContainerDefinitions[0].Image = aws.String("other:1") })
			}),
			drift(t, config, func() error { // a role tag removed
				_, err := c.iam.UntagRole(t.Context(), &iam.UntagRoleInput{RoleName: aws.String(family + "-task"), TagKeys: []string{"consul.hashicorp.com.service-name"}})
				return err
			}),
			drift(t, config, func() error { // a policy removed
				_, err := c.iam.DeleteRolePolicy(t.Context(), &iam.DeleteRolePolicyInput{RoleName: aws.String(family + "-task"), PolicyName: aws.String("mesh-task")})
				return err
			}),
			drift(t, config, func() error { // a role removed
				name := aws.String(family + "-execution")
				if _, err := c.iam.DeleteRolePolicy(t.Context(), &iam.DeleteRolePolicyInput{RoleName: name, PolicyName: aws.String("start-task")}); err != nil {
					return err
				}
				_, err := c.iam.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: name})
				return err
			}),
			{ // what others add to the role is theirs
				PreConfig: func() {
					if _, err := c.iam.TagRole(t.Context(), &iam.TagRoleInput{RoleName: aws.String(family + "-task"), Tags: []iamtypes.Tag{{Key: aws.String("cost"), Value: aws.String("1")}}}); err != nil {
						t.Fatal(err)
					}
				},
				Config: config, PlanOnly: true,
			},
			{ // the revision of others does not belong to this resource
				Config: config,
				Check: inAWS(func() error {
					_, err := c.ecs.DeregisterTaskDefinition(t.Context(), &ecs.DeregisterTaskDefinitionInput{TaskDefinition: aws.String(family + ":3")})
					return err
				}),
			},
		},
	})
}

func TestWhatAnInterruptedApplyLeftIsAdopted(t *testing.T) {
	t.Parallel()
	const family = "interrupted"
	c := startMoto(t)
	config := c.provider() + plainTask(family, "1", "")
	// As if Terraform had been killed before it wrote its state.
	lost := `removed {
  from = consulecs_mesh_task.this
  lifecycle { destroy = false }
}`
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		CheckDestroy:             c.nothingLeft(t, family),
		Steps: []resource.TestStep{
			step(config),
			{Config: c.provider() + lost},
			{Config: config, ExpectError: regexp.MustCompile(`Name taken(?s:.*)perhaps of\s+another\s+configuration\s+or\s+of\s+a\s+create\s+that\s+was\s+cut\s+off`)},
			step(c.provider()+plainTask(family, "1", "adopt_existing = true"), c.wantRevisions(t, family, "2")), // the first is adopted, and retired
		},
	})
}

func TestAFailedApplyLeavesNothingThatADestroyMisses(t *testing.T) {
	t.Parallel()
	const family = "failing"
	c := startMoto(t)
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		CheckDestroy:             c.nothingLeft(t, family),
		Steps: []resource.TestStep{
			{
				Config: c.provider() + plainTask(family, "1", `iam {
  execution_role { policy_arns = ["arn:aws:iam::123456789012:policy/none"] }
}`),
				ExpectError: regexp.MustCompile(`(?s)Mesh task was not created.*attach policy arn:aws:iam::123456789012:policy/none to\s+role\s+failing-execution`),
			},
			step(c.provider()+plainTask(family, "1", ""), c.wantRevisions(t, family, "1")),
			{
				Config: c.provider() + plainTask(family, "2", `iam {
  execution_role { policy_arns = ["arn:aws:iam::123456789012:policy/none"] }
}`),
				ExpectError: regexp.MustCompile(`Mesh task was not updated`),
			},
			step(c.provider()+plainTask(family, "2", ""), c.wantRevisions(t, family, "2")),
		},
	})
}

func TestGivenRolesAreCheckedAndLeftAlone(t *testing.T) {
	t.Parallel()
	const family = "given"
	c := startMoto(t)
	for _, role := range []struct{ name, service string }{{"app", family}, {"untagged", ""}, {"start", ""}} {
		input := &iam.CreateRoleInput{RoleName: aws.String("given_" + role.name), Path: aws.String("/consul-ecs/"), AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[]}`)}
		if role.service != "" {
			input.Tags = []iamtypes.Tag{{Key: aws.String("consul.hashicorp.com.service-name"), Value: aws.String(role.service)}}
		}
		if _, err := c.iam.CreateRole(t.Context(), input); err != nil {
			t.Fatal(err)
		}
	}
	roles := func(task, execution string) string {
		return fmt.Sprintf(`iam {
  task_role { arn = "arn:aws:iam::123456789012:role/consul-ecs/given_%s" }
  execution_role { arn = "arn:aws:iam::123456789012:role/consul-ecs/given_%s" }
}`, task, execution)
	}
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		CheckDestroy: inAWS(func() error {
			if _, err := c.iam.GetRole(t.Context(), &iam.GetRoleInput{RoleName: aws.String("given_app")}); err != nil {
				return fmt.Errorf("a given role is gone: %w", err)
			}
			return nil
		}),
		Steps: []resource.TestStep{
			{Config: c.provider() + plainTask(family, "1", roles("none", "start")), ExpectError: regexp.MustCompile("Role does not exist")},
			{Config: c.provider() + plainTask(family, "1", roles("untagged", "start")), ExpectError: regexp.MustCompile(`(?s)Task role cannot log in to Consul.*service-name="".*Set the tag to\s+"given"`)},
			step(c.provider()+plainTask(family, "1", roles("app", "start")), inAWS(func() error {
				if made := c.roles(t, family); len(made) > 0 {
					return fmt.Errorf("roles %v were made", made)
				}
				return nil
			})),
			{ResourceName: meshTaskName, ImportState: true, ImportStateVerify: true, ImportStateId: family, ImportStateVerifyIgnore: spelledOut},
			// From a given role to a made one, and back: the made one goes.
			step(c.provider()+plainTask(family, "1", ""), inAWS(func() error {
				if made := c.roles(t, family); len(made) != 2 {
					return fmt.Errorf("roles %v, want two", made)
				}
				return nil
			})),
			step(c.provider()+plainTask(family, "1", roles("app", "start")), inAWS(func() error {
				if made := c.roles(t, family); len(made) > 0 {
					return fmt.Errorf("roles %v stayed", made)
				}
				return nil
			})),
		},
	})
}

func TestANewVersionOfTheProviderChangesNothing(t *testing.T) {
	t.Parallel()
	const family = "upgraded"
	c := startMoto(t)
	newer := map[string]func() (tfprotov6.ProviderServer, error){
		"consulecs": func() (tfprotov6.ProviderServer, error) { return provider.Server("newer"), nil },
	}
	config := c.provider() + plainTask(family, "1", "")
	resource.UnitTest(t, resource.TestCase{
		Steps: []resource.TestStep{
			{ProtoV6ProviderFactories: factories(), Config: config},
			{ProtoV6ProviderFactories: newer, Config: config, PlanOnly: true},
		},
	})
}

func TestWhatOnlyThePlanCanTellIsToldThere(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	plan := func(more, want string) resource.TestStep {
		return resource.TestStep{Config: c.provider() + plainTask("planned", "1", more), PlanOnly: true, ExpectError: regexp.MustCompile(want)}
	}
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		Steps: []resource.TestStep{
			{
				Config:   strings.Replace(c.provider(), `agent_image = "agent:1"`, "", 1) + plainTask("planned", "1", ""),
				PlanOnly: true, ExpectError: regexp.MustCompile(`sidecars.image is missing, and\s+only\s+a\s+release\s+of\s+the\s+provider\s+has\s+an\s+image`),
			},
			plan("consul_servers {\n tls { enabled = false }\n}", `(?s)consul_servers.tls.ca_secret_arn is set,\s+but\s+TLS is off`),
			plan(`consul_servers { hosts = "consul:8500" }`, `Invalid consul_servers.hosts`),
			plan(`upstreams = []`, `Unsupported argument`),
		},
	})
}
