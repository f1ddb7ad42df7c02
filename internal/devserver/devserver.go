// Package devserver turns what a user asks of a Consul server for trials, a Spec, into what ECS registers, and makes the keys that such
// a server works with. It is one server, in one task: what it has in memory ends with it, and nothing takes over from it.
package devserver

import (
	"encoding/json"
	"fmt"
	"regexp"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

// Container is the name of the server's container.
const Container = "consul-server"

// What a server has whose user says nothing else. The image is the official one, of the version that the tests run.
const (
	DefaultName       = "consul-dev-server"
	DefaultDatacenter = "dc1"
	DefaultImage      = "hashicorp/consul:1.22.7"
	DefaultLogLevel   = "INFO"
)

// ConfigVariable names the environment variable with all of the server's configuration that is no secret.
const ConfigVariable = "CONSUL_SERVER_CONFIG_JSON"

// DataVolume is the volume that a server gets whose user names none. It ends with the task.
const DataVolume = "consul-server-data"

// Spec is a server as its user asked for it. Zero fields mean the defaults, but for the family, the name and the home.
type Spec struct {
	Home       iamrole.Home
	Family     string
	Name       string // of the server's node in Consul
	Datacenter string
	DNSName    string // by which tasks find the server; it stands in the certificate
	Image      string
	LogLevel   string
	DataVolume string // name of the task's volume with Consul's data

	Task                     taskdef.Task
	LogConfiguration         *ecstypes.LogConfiguration
	PullCredentialsSecretARN string

	TaskRoleARN      string
	ExecutionRoleARN string
	Tags             map[string]string
}

// SecretNames are the names of a server's secrets.
type SecretNames struct {
	CA     string // the certificate of the authority, PEM: for everybody who calls the server
	Token  string // the token that may do everything: for the controller, and for people
	Server string // what is the server's alone, as a JSON object
}

// SecretsOf are those of a family. None ends with a '-' and six characters: ECS and Secrets Manager would take these for the end of an ARN.
func SecretsOf(family string) SecretNames {
	return SecretNames{CA: family + "/ca", Token: family + "/bootstrap-token", Server: family + "/server"}
}

// All are the names in the order in which the secrets are made.
func (n SecretNames) All() []string { return []string{n.CA, n.Token, n.Server} }

// Describe says what a secret of the name is.
func (n SecretNames) Describe(name string) string {
	switch name {
	case n.CA:
		return "Certificate of the authority of a Consul server for trials"
	case n.Token:
		return "ACL token of a Consul server for trials, which may do everything"
	default:
		return "Certificate, private key and gossip key of a Consul server for trials"
	}
}

// SecretARN is the ARN of a secret by its name, without the six characters that Secrets Manager adds: so it is known beforehand, and
// ECS takes it so.
func SecretARN(home iamrole.Home, name string) string {
	return fmt.Sprintf("arn:%s:secretsmanager:%s:%s:secret:%s", home.Partition, home.Region, home.Account, name)
}

// ServerName is the name in the server's certificate that Consul's clients check.
func ServerName(datacenter string) string { return "server." + datacenter + ".consul" }

// Ports of the server. Plain HTTP and gRPC are off.
const (
	PortHTTPS = mesh.PortConsulHTTPS
	PortGRPC  = mesh.PortConsulGRPCTLS
	PortDNS   = mesh.PortDNS
)

var (
	validDatacenter = regexp.MustCompile(`^[a-z0-9_-]{1,63}$`)
	validNodeName   = regexp.MustCompile(`^[A-Za-z0-9-]{1,63}$`)
	validDNSName    = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
)

// maxDNSName is how long a DNS name may be.
const maxDNSName = 253

// Check lists what ECS or Consul would refuse.
func Check(s Spec) problem.List {
	found := taskdef.CheckOutside(s.frame(), s.definition())
	if !validNodeName.MatchString(s.Name) {
		found.Add(problem.At("name"), "is %q, want 1 to 63 letters, digits and '-': it is the name of the server's node, too", s.Name)
	}
	if !validDatacenter.MatchString(s.datacenter()) {
		found.Add(problem.At("datacenter"), "is %q, want 1 to 63 small letters, digits, '-' and '_'", s.datacenter())
	}
	if s.DNSName != "" && (len(s.DNSName) > maxDNSName || !validDNSName.MatchString(s.DNSName)) {
		found.Add(problem.At("dnsName"), "is %q, want a DNS name such as consul.mesh.internal, without a port", s.DNSName)
	}
	if !knownLogLevels[s.logLevel()] {
		found.Add(problem.At("logLevel"), "is %q, want TRACE, DEBUG, INFO, WARN or ERROR", s.logLevel())
	}
	s.checkVolume(&found)
	return found
}

var knownLogLevels = map[string]bool{"TRACE": true, "DEBUG": true, "INFO": true, "WARN": true, "ERROR": true}

// checkVolume wants the volume with the data to be one of the task's, and not our own by chance.
func (s Spec) checkVolume(found *problem.List) {
	volumes := []problem.Path{problem.At("task", "volumes")}
	has := false
	for i, v := range s.Task.Volumes {
		at, name := problem.At("task", "volumes", i, "name"), ""
		volumes = append(volumes, at)
		if v.Name != nil {
			name = *v.Name
		}
		has = has || name == s.DataVolume
		if name == DataVolume {
			found.Add(at, "is %q, which is the volume of a server that names none: choose another name", name)
		}
	}
	if s.DataVolume != "" && !has {
		found.AddWith(volumes, problem.At("dataVolume"), "is %q, which is no volume of the task", s.DataVolume)
	}
}

// Config is what of a server's configuration its user has a say in.
type Config struct {
	Datacenter string   `json:"datacenter"`
	LogLevel   string   `json:"log_level"`
	NodeMeta   NodeMeta `json:"node_meta,omitzero"`
}

// NodeMeta is what Consul says of the server's node. What of the certificate no one can see stands there, too.
type NodeMeta struct {
	DNSName string `json:"dns-name"`
}

// ReadConfig reads it from the server's configuration.
func ReadConfig(text string) (cfg Config, err error) {
	if err := json.Unmarshal([]byte(text), &cfg); err != nil {
		return cfg, fmt.Errorf("read %s: %w", ConfigVariable, err)
	}
	return cfg, nil
}
