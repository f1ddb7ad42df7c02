package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
)

// tagInstance makes an instance at the address of the stage's Consul, tagged consul=value.
func tagInstance(t *testing.T, value string) {
	t.Helper()
	client := ec2.New(ec2.Options{Region: "us-east-1", BaseEndpoint: &stage.AWS.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	_, err := client.RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: aws.String("ami-12c6146b"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1), PrivateIpAddress: &stage.Consul.Address,
		TagSpecifications: []ec2types.TagSpecification{{
			ResourceType: ec2types.ResourceTypeInstance, Tags: []ec2types.Tag{{Key: aws.String("consul"), Value: &value}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// asDiscover is a PATH on which this program is go-discover's, as in our image.
func asDiscover(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "discover")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestServersAreFoundHoweverTheyAreNamed(t *testing.T) {
	t.Parallel()
	tagInstance(t, "server")
	const tags = "provider=aws tag_key=consul tag_value=server"
	for name, tc := range map[string]struct{ hosts, file string }{
		"cloud auto-join":         {tags, "exec=discover -q addrs " + tags},
		"go-discover's program":   {"exec=discover -q addrs " + tags, "exec=discover -q addrs " + tags},
		"several addresses":       {"127.0.0.9, " + stage.Consul.Address, "127.0.0.9, " + stage.Consul.Address},
		"names, some unknown":     {"servers.invalid,localhost", "servers.invalid,localhost"},
		"a command":               {"exec=echo 127.0.0.9 " + stage.Consul.Address, "exec=echo 127.0.0.9 " + stage.Consul.Address},
		"one address in a region": {tags + " region=us-east-1", "exec=discover -q addrs " + tags + " region=us-east-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlayer(t)
			p.cfg.ConsulServers.Hosts = tc.hosts
			p.env["PATH"] = asDiscover(t) + ":" + os.Getenv("PATH")
			p.start(t, "mesh-init").exits(t, 0, 60*time.Second)
			if services := stage.Services(t, p.node); len(services) != 2 {
				t.Errorf("the catalog holds %v, want the service and its proxy", services)
			}
			file, err := dataplanefile.Read(p.file(dataplanefile.Name))
			if err != nil || file.Consul.Addresses != tc.file {
				t.Errorf("the dataplane's file says %q (%v), want %q", file.Consul.Addresses, err, tc.file)
			}
		})
	}
}

func TestWhatGoDiscoverPrintsAndWhyItFails(t *testing.T) {
	t.Parallel()
	tagInstance(t, "printed")
	p := newPlayer(t)
	for name, tc := range map[string]struct {
		args           string
		endpoint       string // of AWS, the stage's unless set
		code           int
		stdout, stderr string
	}{
		"found":   {args: "-q addrs provider=aws tag_key=consul tag_value=printed", stdout: stage.Consul.Address + "\n"},
		"nothing": {args: "-q addrs provider=aws tag_key=consul tag_value=none", code: 1, stderr: "no running instance has the tag consul=none\nhint: see tag_key"},
		"no task": {args: "-q addrs provider=aws service=ecs tag_key=consul tag_value=none", code: 1, stderr: "no running task has the tag consul=none"},
		"no AWS":  {args: "-q addrs provider=aws tag_key=consul tag_value=none", endpoint: "http://127.0.0.1:1", code: 1, stderr: "discover-aws: DescribeInstancesInput failed"},
		"usage":   {args: "-q addrs provider=gce", code: 2, stderr: "provider=gce: want aws"},
		"help":    {args: "--help", stdout: "Usage: consulecs-agent discover"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(filepath.Join(asDiscover(t), "discover"), strings.Fields(tc.args)...)
			for key, value := range p.env {
				cmd.Env = append(cmd.Env, key+"="+value)
			}
			cmd.Env = append(cmd.Env, asAgent+"=1", "GOCOVERDIR="+t.TempDir(), "AWS_MAX_ATTEMPTS=1")
			if tc.endpoint != "" {
				cmd.Env = append(cmd.Env, "AWS_ENDPOINT_URL="+tc.endpoint)
			}
			var stdout, stderr strings.Builder
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			_ = cmd.Run()
			if got := cmd.ProcessState.ExitCode(); got != tc.code || !strings.HasPrefix(stdout.String(), tc.stdout) || !strings.HasPrefix(stderr.String(), tc.stderr) {
				t.Errorf("exit code %d, want %d; printed %q and %q", got, tc.code, &stdout, &stderr)
			}
		})
	}
}

func TestServersThatAreNotThereYetAreWaitedFor(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	p.cfg.ConsulServers.Hosts = "provider=aws tag_key=consul tag_value=late"
	r := p.start(t, "mesh-init")
	r.says(t, "no running instance has the tag consul=late")
	tagInstance(t, "late")
	r.exits(t, 0, 60*time.Second)

	p.cfg.ConsulServers.Hosts = "provider=aws tag_key=consul tag_value=never"
	r = p.start(t, "mesh-init")
	r.says(t, `hint="see tag_key`)
	r.signal(t, syscall.SIGTERM)
	r.exits(t, 1, 20*time.Second)
}
