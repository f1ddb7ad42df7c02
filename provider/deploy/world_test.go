package deploy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

const (
	testCluster = "faults"
	testKind    = "consulecs_mesh_task"
	extraPolicy = "arn:aws:iam::123456789012:policy/extra"
)

var home = iamrole.Home{Partition: "aws", Region: "us-east-1", Account: "123456789012"}

// network is the subnet and the security group of moto's default VPC, which it looks for in a service.
var network block.Network

// moto is shared by all tests, with an ECS cluster and a policy: families keep them apart.
var moto = testenv.SharedMoto{Prepare: func(ctx context.Context, url string) error {
	c, err := clientAt(ctx, url)
	if err != nil {
		return err
	}
	_, clusterErr := c.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String(testCluster)})
	_, policyErr := c.iam.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("extra"), PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*"}]}`)})
	return errors.Join(clusterErr, policyErr, findNetwork(ctx, url))
}}

func findNetwork(ctx context.Context, url string) error {
	cfg, err := awsapi.Load(ctx, awsapi.Config{Region: home.Region})
	if err != nil {
		return err
	}
	c := ec2.NewFromConfig(cfg, func(o *ec2.Options) { o.BaseEndpoint = &url })
	subnets, err := c.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{})
	if err != nil {
		return err
	}
	groups, err := c.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{})
	if err != nil {
		return err
	}
	network = block.Network{Subnets: []string{*subnets.Subnets[0].SubnetId}, SecurityGroups: []string{*groups.SecurityGroups[0].GroupId}, LaunchType: aws.String("FARGATE")}
	return nil
}

func TestMain(m *testing.M) {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"} {
		_ = os.Setenv(name, value)
	}
	code := m.Run()
	_ = moto.Stop()
	os.Exit(code)
}

// clientAt is a client as the provider makes it.
func clientAt(ctx context.Context, url string) (*Client, error) {
	cfg, err := awsapi.Load(ctx, awsapi.Config{
		Region: home.Region, Retries: &awsapi.Retries{},
		Endpoints: map[string]string{awsapi.ServiceECS: url, awsapi.ServiceIAM: url, awsapi.ServiceSTS: url, awsapi.ServiceSQS: url, awsapi.ServiceEvents: url},
	})
	return NewClient(cfg, block.Defaults{}), err
}

// cloud is an AWS on a bad day, and the same on a good one.
type cloud struct {
	proxy *awsfault.Proxy
	*Client
	sure *Client
}

func startCloud(t *testing.T) cloud {
	t.Helper()
	url := moto.URL(t)
	c := cloud{proxy: awsfault.Start(t, url)}
	var err, sureErr error
	c.Client, err = clientAt(t.Context(), c.proxy.URL)
	c.sure, sureErr = clientAt(t.Context(), url)
	if err := errors.Join(err, sureErr); err != nil {
		t.Fatal(err)
	}
	return c
}

// running is a definition of one container.
func running(family, image string) *taskdef.Definition {
	return &taskdef.Definition{
		Family: &family, Cpu: aws.String("256"), Memory: aws.String("512"), NetworkMode: ecstypes.NetworkModeAwsvpc,
		RequiresCompatibilities: []ecstypes.Compatibility{ecstypes.CompatibilityFargate},
		ContainerDefinitions: []ecstypes.ContainerDefinition{{
			Name: aws.String("web"), Image: &image, Environment: []ecstypes.KeyValuePair{{Name: aws.String("A"), Value: aws.String("1")}},
		}},
	}
}

// wanted is the design of a family that runs an image, with an ECS service of no tasks, which moto takes for steady.
func wanted(t *testing.T, family, image string) Design {
	t.Helper()
	return wantedBy(t, "id-of-"+family, family, image)
}

// another is the design as a new resource has it.
func another(t *testing.T, d Design) Design {
	t.Helper()
	return wantedBy(t, "another-"+d.Owner.ID, d.Family, aws.ToString(d.definition.ContainerDefinitions[0].Image))
}

func wantedBy(t *testing.T, id, family, image string) Design {
	t.Helper()
	definition := running(family, image)
	d := Design{Family: family, Owner: ownership.Owner{Name: ownership.Name(testKind, home.Region, family), ID: id}, Service: &block.ECSService{
		Cluster: aws.String(testCluster), Name: &family, DesiredCount: aws.Int32(0), WaitForSteadyState: aws.Bool(true),
		Network: network,
	}}
	tags := map[string]string{"image": image}
	var m *block.IAM
	settings := m.Settings(block.TaskRole{PolicyARNs: []string{extraPolicy}}, mesh.RolePath, tags)
	role, err := iamrole.Task(iamrole.TaskSpec{Home: home, Settings: settings, Family: family, ServiceName: family, ACLs: true})
	if err != nil {
		t.Fatal(err)
	}
	d.TaskRole.Role = role
	definition.TaskRoleArn = &role.ARN
	definition.Tags = awsapi.TagList(tags)
	if err := d.Finish(definition, m, mesh.RolePath, tags, home, false); err != nil {
		t.Fatal(err)
	}
	return d
}

// was is what Terraform hands to the next act.
func (p *Progress) was(d Design) Before {
	return Before{Outcome: p.Outcome, Service: d.Service, Revisions: p.Revisions}
}

// is says what the world lacks of the design: it has exactly that and nothing else of the owner's.
func (c cloud) is(ctx context.Context, d Design, out *Progress) error {
	var errs []error
	for _, want := range d.roles() {
		found, err := c.sure.readRole(ctx, want.Name)
		if err != nil || found == nil {
			return fmt.Errorf("role %s: %v, %w", want.Name, found, err)
		}
		if found.Path != want.Path || string(found.TrustPolicy) != string(want.TrustPolicy) || !cmp.Equal(found.Tags, want.Tags) ||
			!slices.Equal(found.PolicyARNs, want.PolicyARNs) || len(found.Policies) != len(want.Policies) || found.PermissionsBoundary != want.PermissionsBoundary {
			errs = append(errs, fmt.Errorf("role %s: got %+v, want %+v", want.Name, found, want))
		}
		for name, policy := range want.Policies {
			if string(found.Policies[name]) != string(policy) {
				errs = append(errs, fmt.Errorf("policy %s: got %s", name, found.Policies[name]))
			}
		}
	}
	own, err := c.sure.searchRevisions(ctx, d.Family, d.Owner.Registered)
	if errs = append(errs, err); len(own) != 1 || !slices.Equal(own, out.Revisions) || own[0] != row.Value(out.Revision) {
		return errors.Join(append(errs, fmt.Errorf("ACTIVE revisions %v, remembered %v, current %d", own, out.Revisions, row.Value(out.Revision)))...)
	}
	newest, err := c.sure.latest(ctx, d.Family)
	if errs = append(errs, err); err == nil && (newest.Tags["image"] != *d.definition.ContainerDefinitions[0].Image || newest.arn() != row.Value(out.ARN)) {
		errs = append(errs, fmt.Errorf("the newest revision is %s with %v", newest.arn(), newest.Tags))
	}
	service, err := c.sure.findService(ctx, testCluster, d.Family)
	if err != nil || service == nil {
		return errors.Join(append(errs, fmt.Errorf("service: %v, %w", service, err))...)
	}
	if aws.ToString(service.TaskDefinition) != row.Value(out.ARN) || aws.ToString(service.ServiceArn) != row.Value(out.ECSServiceARN) || !cmp.Equal(awsapi.TagMap(service.Tags), d.tags()) {
		errs = append(errs, fmt.Errorf("the service runs %s with %v", aws.ToString(service.TaskDefinition), awsapi.TagMap(service.Tags)))
	}
	return errors.Join(errs...)
}

// isGone says what is left of the design.
func (c cloud) isGone(ctx context.Context, d Design) error {
	var left []string
	for _, want := range d.roles() {
		if found, err := c.sure.readRole(ctx, want.Name); err != nil || found != nil {
			left = append(left, fmt.Sprintf("role %s (%v)", want.Name, err))
		}
	}
	if own, err := c.sure.searchRevisions(ctx, d.Family, d.Owner.Registered); err != nil || len(own) > 0 {
		left = append(left, fmt.Sprintf("revisions %v (%v)", own, err))
	}
	if service, err := c.sure.findService(ctx, testCluster, d.Family); err != nil || service != nil {
		left = append(left, fmt.Sprintf("a service (%v)", err))
	}
	if len(left) > 0 {
		return errors.New("left are " + strings.Join(left, ", "))
	}
	return nil
}

// count counts the calls of an action; of all for "".
func (c cloud) count(action string) int {
	n := 0
	for _, call := range c.proxy.Calls() {
		if action == "" || call.Action == action {
			n++
		}
	}
	return n
}
