// Package faults plays the deaths of tasks while what the controller leans on is out of order: AWS, Consul, and the controller
// itself. The controller is the program that ships, Consul is three real servers, and logins are real. Tasks are localecs's, but
// have no containers: what becomes of real ones, package fleet plays.
package faults

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	iamauth "github.com/hashicorp/consul-awsauth"
	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// The addresses of Consul servers, which have the usual ports there. Those of the second stage fail.
var (
	steady   = []string{"127.0.0.51", "127.0.0.52", "127.0.0.53"}
	troubled = []string{"127.0.0.54", "127.0.0.55", "127.0.0.56"}
)

// stage is what the tests share. Each test has an ECS cluster of its own on it.
type stage struct {
	agent    string // the program
	moto     *testenv.AWS
	identity *testenv.AWS // STS and IAM: the other one is busy with queues that are waited at
	plane    *plane
	servers  []*testenv.Consul
	bearer   string // a bearer token, which the emulator believes any number of times
}

// shared is the stage of all tests but those that take Consul away.
var shared stage

// ecsClusters counts them.
var ecsClusters atomic.Int64

func TestMain(m *testing.M) {
	if _, err := toolcache.Find(); err != nil && os.Getenv("REQUIRE_REAL") == "" {
		fmt.Println("no tests: ", err)
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	flag.Parse()
	// The tests wait nearly all of their time, so there may be more of them than cores.
	if err := flag.Set("test.parallel", "16"); err != nil {
		fmt.Println(err)
		return 1
	}
	dir, err := os.MkdirTemp("", "faults-")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(dir)
	err = shared.open(context.Background(), dir)
	if err == nil {
		code = m.Run()
	}
	if err = errors.Join(err, shared.close()); err != nil {
		fmt.Println(err)
		return 1
	}
	return code
}

func (s *stage) open(ctx context.Context, dir string) (err error) {
	s.agent = filepath.Join(dir, "consulecs-agent")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", s.agent, "../../../agents")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build consulecs-agent: %w\n%s", err, out)
	}
	if s.moto, err = testenv.StartMoto(ctx); err != nil {
		return err
	}
	if s.identity, err = testenv.StartMoto(ctx); err != nil {
		return err
	}
	if s.plane, err = startPlane(filepath.Join(dir, "state.json"), s.moto.URL); err != nil {
		return err
	}
	if s.servers, err = testenv.StartConsulCluster(ctx, testenv.ConsulConfig{Plaintext: true, UsualPorts: true}, steady...); err != nil {
		return err
	}
	s.bearer, err = s.role(ctx)
	return err
}

func (s *stage) close() error {
	var errs []error
	for _, server := range s.servers {
		errs = append(errs, server.Stop())
	}
	if s.plane != nil {
		s.plane.close()
	}
	for _, moto := range []*testenv.AWS{s.moto, s.identity} {
		if moto != nil {
			errs = append(errs, moto.Stop())
		}
	}
	return errors.Join(errs...)
}

// aws is the AWS behind all faults.
func (s *stage) aws() aws.Config {
	return aws.Config{Region: account.Region, BaseEndpoint: &s.plane.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
}

// role makes the task role of service web, and a bearer token by which its tasks log in.
func (s *stage) role(ctx context.Context) (bearer string, err error) {
	cfg := s.aws()
	cfg.BaseEndpoint = &s.identity.URL
	role, err := iam.NewFromConfig(cfg).CreateRole(ctx, &iam.CreateRoleInput{
		RoleName: aws.String("web"), Path: aws.String(mesh.RolePath), AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[]}`),
		Tags: []iamtypes.Tag{{Key: aws.String(mesh.RoleTagServiceName), Value: aws.String("web")}},
	})
	if err != nil {
		return "", err
	}
	out, err := sts.NewFromConfig(cfg).AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: role.Role.Arn, RoleSessionName: aws.String("task")})
	if err != nil {
		return "", err
	}
	c := out.Credentials
	data, err := iamauth.GenerateLoginData(&iamauth.LoginInput{
		Creds:            credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken),
		IncludeIAMEntity: true, STSEndpoint: s.identity.URL, IAMEndpoint: s.identity.URL, STSRegion: account.Region, Logger: hclog.NewNullLogger(),
		GetEntityMethodHeader: "X-Consul-IAM-GetEntity-Method", GetEntityURLHeader: "X-Consul-IAM-GetEntity-URL",
		GetEntityHeadersHeader: "X-Consul-IAM-GetEntity-Headers", GetEntityBodyHeader: "X-Consul-IAM-GetEntity-Body",
	})
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(data)
	return string(text), err
}

// callLimit is how long a test goes on to ask Consul for one thing, whichever of its servers is there.
const callLimit = time.Minute

// consul has one of Consul's servers do something: the next one where one fails.
func (s *stage) consul(t *testing.T, what string, do func(*api.Client) error) {
	t.Helper()
	if err := s.tryConsul(t.Context(), what, do); err != nil {
		t.Fatal(err)
	}
}

func (s *stage) tryConsul(ctx context.Context, what string, do func(*api.Client) error) error {
	_, err := eventually.Seen(ctx, what, callLimit, func() (string, error) {
		var errs []error
		for _, server := range s.servers {
			err := do(server.API)
			if err == nil {
				return "", nil
			}
			errs = append(errs, err)
		}
		return "", errors.Join(errs...)
	})
	return err
}

// leads is the server that leads the others.
func (s *stage) leads(t *testing.T) *testenv.Consul {
	t.Helper()
	for _, server := range s.servers {
		self, err := server.API.Agent().Self()
		if err != nil {
			continue
		}
		raft, _ := self["Stats"]["raft"].(map[string]any)
		if raft["state"] == "Leader" {
			return server
		}
	}
	t.Fatal("no server leads")
	return nil
}

// hosts are the servers as a controller is told of them.
func (s *stage) hosts() string {
	command := "exec=echo"
	for _, server := range s.servers {
		command += " " + server.Address
	}
	return command
}

// ofItsOwn is a stage with other servers, which end with the test.
func ofItsOwn(t *testing.T, addresses []string) *stage {
	t.Helper()
	s := shared
	var err error
	if s.servers, err = testenv.StartConsulCluster(t.Context(), testenv.ConsulConfig{Plaintext: true, UsualPorts: true}, addresses...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, server := range s.servers {
			if err := server.Stop(); err != nil {
				t.Error(err)
			}
		}
	})
	return &s
}
