// Package meshstage is the stage on which the agents' own tests play: a real Consul with ACLs, TLS and an aws-iam auth
// method, and moto for IAM and STS. There is no ECS on it; a test serves the task metadata itself, faults included.
package meshstage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/acl"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

const (
	region  = "us-east-1"
	account = "123456789012" // moto's
)

// Stage is the running stage.
type Stage struct {
	Consul *testenv.Consul
	AWS    *testenv.AWS
}

// Start brings the stage up, with the auth method as the controller would make it.
func Start(ctx context.Context) (s *Stage, err error) {
	s = &Stage{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.AWS, err = testenv.StartMoto(ctx); err != nil {
		return s, err
	}
	if s.Consul, err = testenv.StartConsul(ctx, testenv.ConsulConfig{}); err != nil {
		return s, err
	}
	return s, s.authMethod(ctx)
}

// Main is the body of a TestMain: it brings the stage up, hands it to use, runs the tests, and takes the stage down. It
// returns the exit code.
func Main(m *testing.M, use func(*Stage)) int {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	s, err := Start(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	use(s)
	code := m.Run()
	if err := s.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func (s *Stage) authMethod(ctx context.Context) error {
	_, err := acl.Ensure(ctx, s.Consul.API, acl.Wanted{Method: acl.Method{
		Name: mesh.AuthMethod, BoundPrincipals: []string{"arn:aws:iam::" + account + ":role" + mesh.RolePath + "*"},
		STSEndpoint: s.AWS.URL, IAMEndpoint: s.AWS.URL,
	}})
	return err
}

// Close takes the stage down.
func (s *Stage) Close() error {
	var errs []error
	if s.Consul != nil {
		errs = append(errs, s.Consul.Stop())
	}
	if s.AWS != nil {
		errs = append(errs, s.AWS.Stop())
	}
	return errors.Join(errs...)
}

// Servers is the configuration by which an agent reaches the stage's Consul.
func (s *Stage) Servers() agentconfig.ConsulServers {
	return agentconfig.ConsulServers{
		Hosts:    s.Consul.Address,
		Defaults: &agentconfig.ServerDefaults{TLSServerName: s.Consul.ServerName},
		HTTP:     &agentconfig.ServerHTTP{Port: s.Consul.HTTPPort},
		GRPC:     &agentconfig.ServerGRPC{Port: s.Consul.GRPCPort},
	}
}

// RoleEnv makes the task role PATH/name, tagged with service unless that is "", and with further services, and assumes it. It
// returns the environment by which the AWS SDK acts as the role.
func (s *Stage) RoleEnv(t *testing.T, path, name, service string, further ...string) map[string]string {
	t.Helper()
	cfg := aws.Config{Region: region, BaseEndpoint: &s.AWS.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	role := &iam.CreateRoleInput{RoleName: &name, Path: &path, AssumeRolePolicyDocument: aws.String("{}")}
	if service != "" {
		for n, name := range append([]string{service}, further...) {
			role.Tags = append(role.Tags, iamtypes.Tag{Key: aws.String(mesh.RoleTagOfService(n)), Value: &name})
		}
	}
	// The SDK asks again when an answer is late; the second request then finds what the first has made.
	var exists *iamtypes.EntityAlreadyExistsException
	if _, err := iam.NewFromConfig(cfg).CreateRole(t.Context(), role); err != nil && !errors.As(err, &exists) {
		t.Fatalf("create role %s: %v", name, err)
	}
	arn := "arn:aws:iam::" + account + ":role" + path + name
	assumed, err := sts.NewFromConfig(cfg).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &arn, RoleSessionName: aws.String("task")})
	if err != nil {
		t.Fatalf("assume role %s: %v", name, err)
	}
	return map[string]string{
		"AWS_ACCESS_KEY_ID":     *assumed.Credentials.AccessKeyId,
		"AWS_SECRET_ACCESS_KEY": *assumed.Credentials.SecretAccessKey,
		"AWS_SESSION_TOKEN":     *assumed.Credentials.SessionToken,
		"AWS_ENDPOINT_URL":      s.AWS.URL,
		"AWS_REGION":            region,
	}
}

// Node makes the synthetic node of an ECS cluster and returns its name, the cluster's ARN.
func (s *Stage) Node(t *testing.T, ecsCluster string) string {
	t.Helper()
	arn := ClusterARN(ecsCluster)
	_, err := s.Consul.API.Catalog().Register(&api.CatalogRegistration{
		Node: arn, Address: s.Consul.Address, NodeMeta: map[string]string{mesh.NodeMetaSynthetic: mesh.NodeMetaSyntheticValue},
	}, nil)
	if err != nil {
		t.Fatalf("register node %s: %v", arn, err)
	}
	return arn
}

// ClusterARN is the ARN of the stage's ECS cluster of a name.
func ClusterARN(name string) string {
	return "arn:aws:ecs:" + region + ":" + account + ":cluster/" + name
}

// Services lists the IDs of the services on a node.
func (s *Stage) Services(t *testing.T, node string) map[string]*api.AgentService {
	t.Helper()
	list, _, err := s.Consul.API.Catalog().NodeServiceList(node, nil)
	if err != nil {
		t.Fatalf("list services of %s: %v", node, err)
	}
	services := map[string]*api.AgentService{}
	for _, service := range list.Services {
		services[service.ID] = service
	}
	return services
}

// Checks lists the statuses of the checks on a node.
func (s *Stage) Checks(t *testing.T, node string) map[string]*api.HealthCheck {
	t.Helper()
	list, _, err := s.Consul.API.Health().Node(node, nil)
	if err != nil {
		t.Fatalf("list checks of %s: %v", node, err)
	}
	checks := map[string]*api.HealthCheck{}
	for _, check := range list {
		checks[check.CheckID] = check
	}
	return checks
}

// LoginTokens lists the accessors of the tokens that the task has got by logging in.
func (s *Stage) LoginTokens(t *testing.T, taskID string) []string {
	t.Helper()
	tokens, _, err := s.Consul.API.ACL().TokenList(nil)
	if err != nil {
		t.Fatalf("list tokens: %v", err)
	}
	var accessors []string
	for _, token := range tokens {
		if token.AuthMethod == mesh.AuthMethod && strings.Contains(token.Description, `"`+taskID+`"`) {
			accessors = append(accessors, token.AccessorID)
		}
	}
	return accessors
}
