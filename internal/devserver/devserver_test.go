package devserver_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/devserver"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/definition"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/toolchain"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// smallest has what nobody can leave out.
func smallest() devserver.Spec {
	return devserver.Spec{
		Home: iamrole.Home{Partition: "aws", Region: "eu-west-1", Account: "123456789012"}, Family: "consul-dev-server-prod", Name: "consul-dev-server",
		ExecutionRoleARN: "arn:aws:iam::123456789012:role/consul-dev-server-prod-execution",
	}
}

// everything has something of everything.
func everything() devserver.Spec {
	s := smallest()
	s.Datacenter, s.DNSName, s.Image, s.LogLevel, s.DataVolume = "eu", "consul.mesh.internal", "registry.example/consul:1", "DEBUG", "data"
	s.Task = taskdef.Task{CPU: 512, Memory: 1024, LaunchTypes: []ecstypes.Compatibility{ecstypes.CompatibilityFargate}, Volumes: []ecstypes.Volume{{
		Name: aws.String("data"),
		EfsVolumeConfiguration: &ecstypes.EFSVolumeConfiguration{
			FileSystemId: aws.String("fs-0123456789abcdef0"), TransitEncryption: ecstypes.EFSTransitEncryptionEnabled,
			AuthorizationConfig: &ecstypes.EFSAuthorizationConfig{AccessPointId: aws.String("fsap-0123456789abcdef0")},
		},
	}}}
	s.LogConfiguration = &ecstypes.LogConfiguration{LogDriver: ecstypes.LogDriverAwslogs, Options: map[string]string{"awslogs-group": "/mesh", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "consul"}}
	s.PullCredentialsSecretARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:pull-AbCdEf"
	s.TaskRoleARN, s.Tags = "arn:aws:iam::123456789012:role/own", map[string]string{"env": "trial"}
	return s
}

// Others agree that ECS would take the definitions: moto, which is not ours, and localecs, which checks more of what ECS documents.
func TestDefinitionsMatchGoldens(t *testing.T) {
	t.Parallel()
	moto := testenv.MotoDuring(t)
	client := ecs.New(ecs.Options{Region: "us-east-1", BaseEndpoint: &moto.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	for name, spec := range map[string]devserver.Spec{"smallest": smallest(), "everything": everything()} {
		d, err := devserver.Build(spec)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := definition.Complete(d); err != nil {
			t.Errorf("%s: localecs: %v", name, err)
		}
		if _, err := client.RegisterTaskDefinition(t.Context(), d); err != nil {
			t.Errorf("%s: moto: %v", name, err)
		}
		text, err := awsjson.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := json.Indent(&got, text, "", "  "); err != nil {
			t.Fatal(err)
		}
		got.WriteByte('\n')
		file := filepath.Join("testdata", name+".golden.json")
		if *update {
			if err := os.WriteFile(file, got.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	t.Parallel()
	if found := devserver.Check(smallest()); len(found) > 0 {
		t.Errorf("nothing is wrong, got %v", found)
	}
	for want, change := range map[string]func(*devserver.Spec){
		`name is "a_b", want 1 to 63 letters`:                       func(s *devserver.Spec) { s.Name = "a_b" },
		`datacenter is "EU", want 1 to 63 small letters`:            func(s *devserver.Spec) { s.Datacenter = "EU" },
		`dnsName is "consul.internal:8501", want a DNS name`:        func(s *devserver.Spec) { s.DNSName = "consul.internal:8501" },
		`dnsName is "10.0.0.1", want a DNS name`:                    func(s *devserver.Spec) { s.DNSName = "10.0.0.1" },
		`logLevel is "debug", want TRACE`:                           func(s *devserver.Spec) { s.LogLevel = "debug" },
		`dataVolume is "data", which is no volume of the task`:      func(s *devserver.Spec) { s.DataVolume = "data" },
		`task.volumes[0].name is "consul-server-data", which is`:    func(s *devserver.Spec) { s.Task.Volumes = []ecstypes.Volume{{Name: aws.String("consul-server-data")}} },
		`task.memory is 100 MiB, which FARGATE does not offer with`: func(s *devserver.Spec) { s.Task.Memory = 100 },
		`image is "consul 1", which has a blank`:                    func(s *devserver.Spec) { s.Image = "consul 1" },
		`taskRoleArn is "x"`:                                        func(s *devserver.Spec) { s.TaskRoleARN = "x" },
		`logConfiguration.logDriver is awsfirelens, but the`: func(s *devserver.Spec) {
			s.LogConfiguration = &ecstypes.LogConfiguration{LogDriver: ecstypes.LogDriverAwsfirelens}
		},
		`tags["consul.hashicorp.com/mesh"] is a key of the mesh`: func(s *devserver.Spec) { s.Tags = map[string]string{mesh.TaskTagMesh: "true"} },
	} {
		s := smallest()
		change(&s)
		found := devserver.Check(s)
		if !slices.ContainsFunc(found, func(p problem.Problem) bool { return strings.HasPrefix(p.Path.String()+" "+p.Message(), want) }) {
			t.Errorf("got %v, want %q", found, want)
		}
		if _, err := devserver.Build(s); err == nil {
			t.Errorf("built though %s", want)
		}
	}
}

// The default image is of the version that the tests run.
func TestTheDefaultImageIsTheOneThatIsTested(t *testing.T) {
	t.Parallel()
	pins, err := toolchain.Load()
	if err != nil {
		t.Fatal(err)
	}
	if want := "hashicorp/consul:" + pins.Consul.Version; devserver.DefaultImage != want {
		t.Errorf("the default image is %s, want %s", devserver.DefaultImage, want)
	}
}

// What a name ends with must not look like the end of an ARN, which ECS and Secrets Manager would read for more than the name.
func TestNamesOfSecretsDoNotLookLikeTheEndOfAnARN(t *testing.T) {
	t.Parallel()
	looksComplete := regexp.MustCompile(`-[A-Za-z0-9]{6}$`)
	names := devserver.SecretsOf("family-abcdef").All()
	for _, name := range names {
		if looksComplete.MatchString(name) || !strings.HasPrefix(name, "family-abcdef/") {
			t.Errorf("got %s", name)
		}
	}
}

func TestKeysFitTogether(t *testing.T) {
	t.Parallel()
	now := time.Now()
	names := devserver.SecretsOf("f")
	values, err := devserver.NewSecrets(now, names, "eu", "consul.mesh.internal")
	if err != nil {
		t.Fatal(err)
	}
	var own map[string]string
	if err := json.Unmarshal([]byte(values[names.Server]), &own); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair([]byte(own["certificate"]), []byte(own["key"]))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(values[names.CA])) {
		t.Fatalf("no certificate in %s", values[names.CA])
	}
	for _, name := range []string{"server.eu.consul", "localhost", "127.0.0.1", "consul.mesh.internal"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: "client.eu.consul", Roots: roots}); err == nil {
		t.Error("the certificate is good for any name")
	}
	if left := pair.Leaf.NotAfter.Sub(now); left < 4*365*24*time.Hour {
		t.Errorf("the certificate is valid for %v", left)
	}
	if gossip, err := base64.StdEncoding.DecodeString(own["gossip_key"]); err != nil || len(gossip) != 32 {
		t.Errorf("the gossip key has %d bytes, %v", len(gossip), err)
	}
	if token := values[names.Token]; !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(token) {
		t.Error("the token is no UUID")
	}
	if block, rest := pem.Decode([]byte(values[names.CA])); block == nil || len(rest) > 0 || strings.Contains(values[names.CA], "PRIVATE") {
		t.Error("the public secret holds more than a certificate")
	}
	again, err := devserver.NewSecrets(now, names, "eu", "")
	if err != nil || again[names.Token] == values[names.Token] || again[names.Server] == values[names.Server] {
		t.Errorf("made again, the keys are the same: %v", err)
	}
}
