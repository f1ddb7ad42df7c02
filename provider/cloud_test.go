package provider_test

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// moto is shared by all tests: families keep them apart.
var moto testenv.SharedMoto

func TestMain(m *testing.M) {
	if servesStandIn() {
		return
	}
	useTerraform()
	code := m.Run()
	_ = os.RemoveAll(scratch)
	_ = moto.Stop()
	os.Exit(code)
}

// useTerraform tells the test framework which Terraform or OpenTofu there is, and the provider where credentials are. One that
// the environment names is used.
func useTerraform() {
	tools, _ := toolcache.Find() // a missing tool fails the tests that need it
	binary := cmp.Or(os.Getenv("TF_ACC_TERRAFORM_PATH"), tools.Terraform)
	for name, value := range map[string]string{
		"TF_ACC_TERRAFORM_PATH": binary, "CHECKPOINT_DISABLE": "1",
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		_ = os.Setenv(name, value)
	}
	if strings.HasPrefix(filepath.Base(binary), "tofu") {
		_ = os.Setenv("TF_ACC_PROVIDER_HOST", "registry.opentofu.org")
	}
}

// cloud is an AWS as the tests look at it.
type cloud struct {
	url    string
	config aws.Config
	ecs    *ecs.Client
	iam    *iam.Client
}

func startMoto(t testing.TB) cloud {
	t.Helper()
	return cloudAt(moto.URL(t))
}

func cloudAt(url string) cloud {
	cfg := aws.Config{Region: "us-east-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"), "test", "")}
	return cloud{url: url, config: cfg, ecs: ecs.NewFromConfig(cfg), iam: iam.NewFromConfig(cfg)}
}

// provider is the provider's block for the cloud.
func (c cloud) provider() string { return testenv.ProviderBlock(c.url) }

// active are the ACTIVE revisions of a family, by number.
func (c cloud) active(t *testing.T, family string) []string {
	t.Helper()
	listed, err := c.ecs.ListTaskDefinitions(context.Background(), &ecs.ListTaskDefinitionsInput{FamilyPrefix: &family, Status: ecstypes.TaskDefinitionStatusActive})
	if err != nil {
		t.Fatal(err)
	}
	var numbers []string
	for _, arn := range listed.TaskDefinitionArns {
		if name, number, _ := strings.Cut(arn[strings.LastIndexByte(arn, '/')+1:], ":"); name == family {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// registerElsewhere registers a changed copy of the newest revision, as something else than the resource would.
func (c cloud) registerElsewhere(t *testing.T, family string, change func(*ecstypes.TaskDefinition)) error {
	t.Helper()
	described, err := c.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: &family})
	if err != nil {
		return err
	}
	d := described.TaskDefinition
	change(d)
	_, err = c.ecs.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: d.Family, ContainerDefinitions: d.ContainerDefinitions, Cpu: d.Cpu, Memory: d.Memory, NetworkMode: d.NetworkMode,
		TaskRoleArn: d.TaskRoleArn, ExecutionRoleArn: d.ExecutionRoleArn, Volumes: d.Volumes, RequiresCompatibilities: d.RequiresCompatibilities,
		Tags: []ecstypes.Tag{{Key: aws.String("made-by"), Value: aws.String("ci")}},
	})
	return err
}

// register registers a revision of a family, by hand.
func (c cloud) register(t *testing.T, family string) {
	t.Helper()
	_, err := c.ecs.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: &family, ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("app"), Image: aws.String("app:0"), Memory: aws.Int32(128)}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// roles are the names of the roles that begin with the family.
func (c cloud) roles(t *testing.T, family string) []string {
	t.Helper()
	var names []string
	pages := iam.NewListRolesPaginator(c.iam, &iam.ListRolesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Roles {
			if strings.HasPrefix(*r.RoleName, family+"-") {
				names = append(names, *r.RoleName)
			}
		}
	}
	return names
}
