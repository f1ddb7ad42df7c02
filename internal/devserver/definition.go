package devserver

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

// Where the container has its files. What is secret lies in memory and ends with the container, whose root nobody can write to.
const (
	memory  = "/dev/shm/"
	dataDir = "/consul/data"

	caFile, certificateFile, keyFile = memory + "ca.pem", memory + "server.pem", memory + "server-key.pem"
)

// Variables that ECS fills from the secrets. The token has Consul's own name, so that the health check's program finds it.
const (
	variableCA          = "CONSUL_SERVER_CA"
	variableCertificate = "CONSUL_SERVER_CERTIFICATE"
	variableKey         = "CONSUL_SERVER_KEY"
	variableGossip      = "CONSUL_SERVER_GOSSIP_KEY"
)

// Keys of the JSON in the server's own secret.
const (
	fieldCertificate = "certificate"
	fieldKey         = "key"
	fieldGossip      = "gossip_key"
)

// script puts what ECS hands over as variables into files, and starts Consul without the variables. It is built of the shell's own
// commands, so that no secret is an argument of any process.
var script = strings.Join([]string{
	"set -eu",
	"umask 077",
	`printf '%s\n' "$` + variableCA + `" >` + caFile,
	`printf '%s\n' "$` + variableCertificate + `" >` + certificateFile,
	`printf '%s\n' "$` + variableKey + `" >` + keyFile,
	`printf '%s\n' "$` + ConfigVariable + `" >` + memory + "server.json",
	`printf '{"encrypt":"%s","acl":{"tokens":{"initial_management":"%s","agent":"%s"}}}\n' "$` + variableGossip + `" "$` + mesh.VariableToken + `" "$` + mesh.VariableToken + `" >` + memory + "keys.json",
	"unset " + strings.Join([]string{variableCA, variableCertificate, variableKey, variableGossip, mesh.VariableToken}, " "),
	"exec consul agent -config-file=" + memory + "server.json -config-file=" + memory + "keys.json",
}, "\n")

// Health check of the container, in seconds. It asks the server for the members of its quorum, which it tells when it leads and knows
// the token: a task is healthy, and its service steady, when the mesh can use it.
const (
	checkInterval    = 5
	checkTimeout     = 5
	checkRetries     = 3
	checkStartPeriod = 60
)

// Build makes the task definition. The error holds everything that Check finds.
func Build(s Spec) (*taskdef.Definition, error) {
	if err := Check(s).Err(); err != nil {
		return nil, fmt.Errorf("build task definition %s: %w", s.Family, err)
	}
	return s.definition(), nil
}

// Draft makes what is known of the task definition, some of whose values are not known yet and left out.
func Draft(s Spec) (*taskdef.Definition, error) { return s.definition(), nil }

// definition builds whatever s says, right or wrong.
func (s Spec) definition() *taskdef.Definition {
	d := taskdef.Frame(s.frame())
	if s.DataVolume == "" {
		d.Volumes = append([]ecstypes.Volume{{Name: aws.String(DataVolume)}}, d.Volumes...)
	}
	d.ContainerDefinitions = []ecstypes.ContainerDefinition{s.container()}
	return d
}

// frame is the server as a task of one container that the mesh knows nothing of.
func (s Spec) frame() taskdef.Spec {
	return taskdef.Spec{
		Family: s.Family, Task: s.Task, TaskRoleARN: s.TaskRoleARN, ExecutionRoleARN: s.ExecutionRoleARN, Tags: s.Tags,
		Sidecars: taskdef.Sidecars{Image: s.image(), LogConfiguration: s.LogConfiguration},
	}
}

func (s Spec) container() ecstypes.ContainerDefinition {
	names := SecretsOf(s.Family)
	from := func(variable, name, key string) ecstypes.Secret {
		reference := SecretARN(s.Home, name)
		if key != "" {
			reference += ":" + key + "::"
		}
		return ecstypes.Secret{Name: &variable, ValueFrom: &reference}
	}
	c := ecstypes.ContainerDefinition{
		Name:       aws.String(Container),
		Image:      aws.String(s.image()),
		Essential:  aws.Bool(true),
		EntryPoint: []string{"/bin/sh", "-c"},
		Command:    []string{script},
		Environment: []ecstypes.KeyValuePair{
			variable("CONSUL_CACERT", caFile),
			variable("CONSUL_HTTP_ADDR", fmt.Sprintf("https://127.0.0.1:%d", PortHTTPS)),
			variable(ConfigVariable, s.config()),
		},
		Secrets: []ecstypes.Secret{
			from(mesh.VariableToken, names.Token, ""), from(variableCA, names.CA, ""),
			from(variableCertificate, names.Server, fieldCertificate), from(variableKey, names.Server, fieldKey), from(variableGossip, names.Server, fieldGossip),
		},
		PortMappings: []ecstypes.PortMapping{
			port(PortHTTPS, ecstypes.TransportProtocolTcp), port(PortGRPC, ecstypes.TransportProtocolTcp),
			port(PortDNS, ecstypes.TransportProtocolTcp), port(PortDNS, ecstypes.TransportProtocolUdp),
		},
		MountPoints: []ecstypes.MountPoint{{SourceVolume: aws.String(cmp.Or(s.DataVolume, DataVolume)), ContainerPath: aws.String(dataDir), ReadOnly: aws.Bool(false)}},
		HealthCheck: &ecstypes.HealthCheck{
			Command:  []string{"CMD", "consul", "operator", "raft", "list-peers"},
			Interval: aws.Int32(checkInterval), Timeout: aws.Int32(checkTimeout), Retries: aws.Int32(checkRetries), StartPeriod: aws.Int32(checkStartPeriod),
		},
		ReadonlyRootFilesystem: aws.Bool(true),
	}
	if log := s.LogConfiguration; log != nil && log.LogDriver != "" {
		c.LogConfiguration = log
	}
	if s.PullCredentialsSecretARN != "" {
		c.RepositoryCredentials = &ecstypes.RepositoryCredentials{CredentialsParameter: &s.PullCredentialsSecretARN}
	}
	return c
}

func variable(name, value string) ecstypes.KeyValuePair {
	return ecstypes.KeyValuePair{Name: &name, Value: &value}
}

func port(number int32, protocol ecstypes.TransportProtocol) ecstypes.PortMapping {
	return ecstypes.PortMapping{ContainerPort: &number, HostPort: &number, Protocol: protocol}
}

// config is Consul's configuration but for what is secret: that of one server which elects itself, with TLS and ACLs on.
func (s Spec) config() string {
	type object map[string]any
	cfg := object{
		"server": true, "bootstrap_expect": 1, "datacenter": s.datacenter(), "node_name": s.Name, "data_dir": dataDir,
		"client_addr": "0.0.0.0", "log_level": s.logLevel(), "disable_update_check": true,
		"ports":       object{"http": -1, "https": PortHTTPS, "grpc": -1, "grpc_tls": PortGRPC, "dns": PortDNS, "serf_wan": -1},
		"acl":         object{"enabled": true, "default_policy": "deny"},
		"connect":     object{"enabled": true},
		"ui_config":   object{"enabled": true},
		"performance": object{"raft_multiplier": 1},
		"tls": object{
			"defaults":     object{"ca_file": caFile, "cert_file": certificateFile, "key_file": keyFile, "verify_incoming": false, "verify_outgoing": true},
			"internal_rpc": object{"verify_incoming": true, "verify_server_hostname": true},
		},
	}
	if s.DNSName != "" {
		cfg["node_meta"] = NodeMeta{s.DNSName}
	}
	text, _ := json.Marshal(cfg) // texts, numbers and booleans are written
	return string(text)
}

func (s Spec) image() string      { return cmp.Or(s.Image, DefaultImage) }
func (s Spec) datacenter() string { return cmp.Or(s.Datacenter, DefaultDatacenter) }
func (s Spec) logLevel() string   { return cmp.Or(s.LogLevel, DefaultLogLevel) }
