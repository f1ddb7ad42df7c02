// Package world brings up whole worlds on this machine: a real Consul, an AWS emulator and a local ECS, which the tasks share
// a network with.
package world

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// Emulator is what stands behind localecs for all of AWS that is not ECS.
type Emulator string

// The emulators.
const (
	Moto       Emulator = "moto"
	LocalStack Emulator = "localstack"
)

// account is the one that the emulator takes the credentials of Address for; "" is localecs's own default. Roles and tasks
// must be of one account, else Consul trusts no task.
func (e Emulator) account() string {
	if e == LocalStack {
		return "000000000000"
	}
	return ""
}

// Config says what a world is made of.
type Config struct {
	Name           string   // label of all that the world makes on Docker; unique on this machine
	Dir            string   // where state and logs go
	Emulator       Emulator // "" = Moto
	BootstrapToken string   // of Consul, a UUID
	Plain          bool     // Consul without TLS and without ACLs
	StopOrder      engine.StopOrder
	Log            io.Writer // localecs's log; nil = none
}

// World is all that a mesh needs, on this machine: a real Consul with ACLs and TLS unless it is plain, an AWS emulator, and a local ECS whose
// network all of them and the tasks share. The secrets that Terraform configurations refer to are in Secrets Manager.
type World struct {
	Address
	Consul *testenv.Consul

	ecs       *localecs.Server // nil while it is stopped
	ecsConfig localecs.Config
	stops     []func() error // in the order of the starts
}

// Address says where the parts of a world are. Nothing in it is secret.
type Address struct {
	World            string // its name
	AWS              string // URL of the whole local AWS
	Region           string
	Cluster          string // ARN of the ECS cluster
	ConsulHost       string // IP address
	ConsulHTTPS      string // host:port; HTTP where the world is plain
	ConsulGRPCPort   int    // with TLS unless the world is plain
	ConsulServerName string // in the certificate
	ConsulCAPEM      string // "" where the world is plain, as is the next
	CASecretARN      string
	TokenSecretARN   string
}

// ecsCluster is the name of a world's ECS cluster.
const ecsCluster = "mesh"

// Start brings a world up. Close takes it down again, with every task that still runs.
func Start(ctx context.Context, cfg Config) (*World, error) {
	w := &World{Address: Address{World: cfg.Name, Region: localecs.DefaultRegion}}
	for _, part := range []func(context.Context, Config) error{w.startAWS, w.startConsul, w.prepare} {
		if err := part(ctx, cfg); err != nil {
			return nil, errors.Join(fmt.Errorf("start world %s: %w", cfg.Name, err), w.Close())
		}
	}
	return w, nil
}

// startAWS starts the emulator on loopback and localecs in front of it.
func (w *World) startAWS(ctx context.Context, cfg Config) error {
	emulator, err := startEmulatorNamed(ctx, cfg.Emulator)
	if err != nil {
		return err
	}
	w.stops = append(w.stops, emulator.Stop)
	docker, err := toolcache.Find()
	if err != nil {
		return err
	}
	w.ecsConfig = localecs.Config{
		Name: cfg.Name, DockerHost: docker.DockerHost, EmulatorURL: emulator.URL, StateDir: filepath.Join(cfg.Dir, "localecs"),
		StopOrder: cfg.StopOrder, Logger: worldLogger(cfg.Log), AccountID: cfg.Emulator.account(),
	}
	w.stops = append(w.stops, func() error {
		closed, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		return errors.Join(w.StopECS(), Down(closed, cfg.Name))
	})
	return w.StartECS(ctx)
}

// StopECS takes ECS away, and with it the metadata and credentials of tasks. The tasks themselves go on. Stopping twice is harmless.
func (w *World) StopECS() error {
	if w.ecs == nil {
		return nil
	}
	ecs := w.ecs
	w.ecs = nil
	return ecs.Close()
}

// StartECS brings ECS back, with the tasks and the address that it had.
func (w *World) StartECS(ctx context.Context) error {
	server, err := localecs.Start(ctx, w.ecsConfig)
	if err != nil {
		return err
	}
	w.ecs, w.AWS, w.ConsulHost = server, server.Endpoint, server.Gateway.String()
	return nil
}

func startEmulatorNamed(ctx context.Context, name Emulator) (*testenv.AWS, error) {
	if name == LocalStack {
		return testenv.StartLocalStack(ctx)
	}
	return testenv.StartMoto(ctx)
}

func worldLogger(out io.Writer) hclog.Logger {
	if out == nil {
		return hclog.NewNullLogger()
	}
	return hclog.New(&hclog.LoggerOptions{Name: "localecs", Level: hclog.Debug, Output: out})
}

// startConsul starts Consul on the address by which the tasks reach this machine.
func (w *World) startConsul(ctx context.Context, cfg Config) error {
	consul, err := testenv.StartConsul(ctx, testenv.ConsulConfig{
		Address: w.ConsulHost, UsualPorts: true, BootstrapToken: cfg.BootstrapToken, Plaintext: cfg.Plain, Open: cfg.Plain,
	})
	if err != nil {
		return err
	}
	w.Consul = consul
	w.stops = append(w.stops, consul.Stop)
	w.ConsulHTTPS = net.JoinHostPort(w.ConsulHost, strconv.Itoa(consul.HTTPPort))
	w.ConsulGRPCPort, w.ConsulServerName, w.ConsulCAPEM = consul.GRPCPort, consul.ServerName, consul.CAPEM
	return nil
}

// ReplaceConsul has another server take the place of the world's, at another address. The world's Consul and its addresses
// are then the new one's.
func (w *World) ReplaceConsul(ctx context.Context) error {
	next, err := w.Consul.Replace(ctx, engine.LinkLocal().String())
	if err != nil {
		return err
	}
	w.stops = append(w.stops, next.Stop)
	w.Consul = next
	w.ConsulHost, w.ConsulHTTPS = next.Address, net.JoinHostPort(next.Address, strconv.Itoa(next.HTTPPort))
	return nil
}

// prepare makes what every configuration needs to exist: the ECS cluster and the secrets.
func (w *World) prepare(ctx context.Context, cfg Config) error {
	made, err := ecs.NewFromConfig(w.AWSConfig()).CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String(ecsCluster)})
	if err != nil {
		return err
	}
	w.Cluster = aws.ToString(made.Cluster.ClusterArn)
	token := w.Consul.BootstrapToken
	if cfg.Plain {
		token = "of no use" // a controller's definition names a secret in any case
	} else if w.CASecretARN, err = w.secret(ctx, "consul-ca", w.ConsulCAPEM); err != nil {
		return err
	}
	w.TokenSecretARN, err = w.secret(ctx, "consul-bootstrap-token", token)
	return err
}

func (w *World) secret(ctx context.Context, name, value string) (arn string, err error) {
	made, err := secretsmanager.NewFromConfig(w.AWSConfig()).CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &name, SecretString: &value})
	if err != nil {
		return "", fmt.Errorf("create secret %s: %w", name, err)
	}
	return aws.ToString(made.ARN), nil
}

// Close takes the world down: the last part started goes first.
func (w *World) Close() error {
	var errs []error
	for i := len(w.stops) - 1; i >= 0; i-- {
		errs = append(errs, w.stops[i]())
	}
	w.stops = nil
	return errors.Join(errs...)
}

// AWSConfig is the configuration of AWS clients for the world.
func (a Address) AWSConfig() aws.Config {
	return aws.Config{
		Region: a.Region, BaseEndpoint: aws.String(a.AWS),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
}

// Env is what a process on this machine needs in its environment to use the world's AWS.
func (a Address) Env() []string {
	return []string{"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=" + a.Region}
}

// Variables are the values of the input variables that configurations in examples/ ask of a world.
func (a Address) Variables() map[string]string {
	return map[string]string{
		"region": a.Region, "aws_endpoint": a.AWS, "ecs_cluster_arn": a.Cluster,
		"consul_host": a.ConsulHost, "consul_server_name": a.ConsulServerName,
		"consul_ca_secret_arn": a.CASecretARN, "consul_token_secret_arn": a.TokenSecretARN,
	}
}
