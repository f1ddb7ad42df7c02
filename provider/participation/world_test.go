package participation_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/meshcontroller"
	"github.com/consulecs/terraform-provider-consulecs/provider/participation"
)

var home = iamrole.Home{Partition: "aws", Region: "us-east-1", Account: "123456789012"}

// moto is shared by all tests: ECS clusters keep them apart.
var moto testenv.SharedMoto

func TestMain(m *testing.M) {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"} {
		_ = os.Setenv(name, value)
	}
	code := m.Run()
	_ = moto.Stop()
	os.Exit(code)
}

// cloud is an AWS with an ECS cluster in which mesh tasks come and go.
type cloud struct {
	ecsCluster string
	config     aws.Config
	ecs        *ecs.Client
	network    block.Network
}

func startCloud(t *testing.T, ecsCluster string) cloud {
	t.Helper()
	url := moto.URL(t)
	cfg, err := awsapi.Load(t.Context(), awsapi.Config{Region: home.Region})
	if err != nil {
		t.Fatal(err)
	}
	cfg.BaseEndpoint = &url
	c := cloud{ecsCluster: ecsCluster, config: cfg, ecs: ecs.NewFromConfig(cfg)}
	_, err = c.ecs.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: &c.ecsCluster})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ecs.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("task"), ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("app"), Image: aws.String("app:0"), Memory: aws.Int32(128)}},
	}); err != nil {
		t.Fatal(err)
	}
	subnets, err := ec2.NewFromConfig(cfg).DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	if err != nil {
		t.Fatal(err)
	}
	groups, err := ec2.NewFromConfig(cfg).DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{})
	if err != nil {
		t.Fatal(err)
	}
	c.network = block.Network{Subnets: []string{*subnets.Subnets[0].SubnetId}, SecurityGroups: []string{*groups.SecurityGroups[0].GroupId}, LaunchType: aws.String("FARGATE")}
	return c
}

// process is what one Terraform knows of the cloud: nothing, to begin with.
func (c cloud) process(context.Context) *participation.Share {
	return participation.Of(deploy.NewClient(c.config, block.Defaults{}), c.ecsCluster, home)
}

func (c cloud) wish(t *testing.T) participation.Wish {
	t.Helper()
	none := int32(0)
	settings := meshcontroller.Settings{TokenSecretARN: aws.String("arn:aws:secretsmanager:us-east-1:123456789012:secret:token"), DesiredCount: &none, Network: c.network}
	at := meshcontroller.Place{ECSCluster: &c.ecsCluster, Name: participation.Name, Owner: participation.Owner(c.ecsCluster, home)}
	d := block.Defaults{Image: "agent:1", Servers: &block.ConsulServers{Hosts: aws.String("consul.example.com")}}
	design, err := settings.Design(at, d, home, false)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := meshcontroller.Hash(design)
	if err != nil {
		t.Fatal(err)
	}
	return participation.NewWish(design, hash)
}

// come makes the ECS service of a mesh task that takes part.
func (c cloud) come(ctx context.Context, name string) error {
	_, err := c.ecs.CreateService(ctx, &ecs.CreateServiceInput{
		Cluster: &c.ecsCluster, ServiceName: &name, TaskDefinition: aws.String("task"), DesiredCount: aws.Int32(0),
		Tags: []ecstypes.Tag{{Key: aws.String(mesh.TaskTagController), Value: aws.String(participation.Name)}},
	})
	return err
}

func (c cloud) goes(ctx context.Context, name string) error {
	_, err := c.ecs.DeleteService(ctx, &ecs.DeleteServiceInput{Cluster: &c.ecsCluster, Service: &name, Force: aws.Bool(true)})
	return err
}

// there is what there is of the shared controller.
func (c cloud) there(ctx context.Context) ([]string, error) {
	family := participation.Name + "-" + c.ecsCluster + "-"
	described, err := c.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &c.ecsCluster, Services: []string{participation.Name}})
	if err != nil {
		return nil, err
	}
	var all []string
	for _, service := range described.Services {
		if status := aws.ToString(service.Status); status != "INACTIVE" {
			all = append(all, "service "+status)
		}
	}
	revisions, revisionsErr := c.ecs.ListTaskDefinitions(ctx, &ecs.ListTaskDefinitionsInput{FamilyPrefix: aws.String(strings.TrimSuffix(family, "-")), Status: ecstypes.TaskDefinitionStatusActive})
	roles, rolesErr := iam.NewFromConfig(c.config).ListRoles(ctx, &iam.ListRolesInput{MaxItems: aws.Int32(1000)})
	queues, queuesErr := sqs.NewFromConfig(c.config).ListQueues(ctx, &sqs.ListQueuesInput{QueueNamePrefix: &family})
	if err := errors.Join(revisionsErr, rolesErr, queuesErr); err != nil {
		return nil, err
	}
	own := slices.DeleteFunc(roles.Roles, func(r iamtypes.Role) bool { return !strings.HasPrefix(aws.ToString(r.RoleName), family) })
	return append(all, fmt.Sprintf("%d revisions", len(revisions.TaskDefinitionArns)), fmt.Sprintf("%d roles", len(own)), fmt.Sprintf("%d queues", len(queues.QueueUrls))), nil
}

// is says what differs from a whole controller, or from none.
func (c cloud) is(ctx context.Context, whole bool) error {
	want := []string{"0 revisions", "0 roles", "0 queues"}
	if whole {
		want = []string{"service ACTIVE", "1 revisions", "2 roles", "2 queues"}
	}
	got, err := c.there(ctx)
	if err == nil && !slices.Equal(got, want) {
		err = fmt.Errorf("there is %s, want %s", strings.Join(got, ", "), strings.Join(want, ", "))
	}
	return err
}

// rounds is how often mesh tasks come and go at once.
const rounds = 8

// Mesh tasks of several Terraforms, which know nothing of each other, come and go at once, again and again. Once nothing moves any more, the
// controller is there as a whole if any of them is, and nothing of it if none is.
func TestWhoeverComesAndGoesTheControllerIsThereWhileAnyoneNeedsIt(t *testing.T) {
	t.Parallel()
	seed, err := strconv.ParseUint(os.Getenv("RANDOM_SEED"), 10, 64)
	if err != nil {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("RANDOM_SEED=%d", seed)
	dice, c := rand.New(rand.NewPCG(seed, 0)), startCloud(t, "busy")
	w := c.wish(t)
	up := make([]bool, 4)
	for round := range rounds {
		var all sync.WaitGroup
		for i := range up {
			if dice.IntN(3) == 0 && round != rounds-1 {
				continue
			}
			name, pause := fmt.Sprintf("task-%d", i), time.Duration(dice.IntN(120))*time.Millisecond
			if up[i] = !up[i] && round != rounds-1; up[i] {
				all.Go(func() {
					time.Sleep(pause)
					if _, err := c.process(t.Context()).Join(t.Context(), w, func(ctx context.Context) error { return c.come(ctx, name) }); err != nil {
						t.Errorf("round %d: %s comes: %v", round, name, err)
					}
				})
				continue
			}
			all.Go(func() {
				time.Sleep(pause)
				if err := c.goes(t.Context(), name); err != nil && !awsapi.IsNotFound(err) {
					t.Error(err)
				}
				if err := c.process(t.Context()).Leave(t.Context(), w); err != nil {
					t.Errorf("round %d: %s goes: %v", round, name, err)
				}
			})
		}
		all.Wait()
		if err := c.is(t.Context(), slices.Contains(up, true)); err != nil {
			t.Fatalf("round %d, up are %v: %v", round, up, err)
		}
	}
}
