package agentconfig

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// Hosts is consulServers.hosts taken apart. One of its fields is set.
type Hosts struct {
	Names    []string // IP addresses and DNS names, any of which may lead to servers
	Command  string   // prints IP addresses; a program and its arguments, without quoting
	AutoJoin string   // key=value pairs by which go-discover finds the servers in a cloud
}

// DiscoverProgram is the name of go-discover's own program, to which our image answers too.
const DiscoverProgram = "discover"

// Exec is the form of hosts for those who know one name or a command only: program finds the addresses. It may be
// DiscoverProgram where AutoJoin is set; Names are found by our own alone.
func (h Hosts) Exec(program string) string {
	if h.AutoJoin != "" {
		return execPrefix + program + " -q addrs " + h.AutoJoin
	}
	return execPrefix + program + " -q hosts " + strings.Join(h.Names, ",")
}

const (
	execPrefix     = "exec="
	providerPrefix = "provider="
)

// ParseHosts reads an IP address or a DNS name, a list of them with commas between, exec= and a command, or go-discover's
// provider= and what else it wants to know.
func ParseHosts(hosts string) (Hosts, error) {
	command, isCommand := strings.CutPrefix(hosts, execPrefix)
	switch {
	case strings.TrimSpace(hosts) == "":
		return Hosts{}, errors.New("is empty")
	case isCommand && strings.TrimSpace(command) == "":
		return Hosts{}, errors.New("has no command after exec=")
	case strings.Contains(command, execPrefix):
		return Hosts{}, errors.New("has exec= inside: whoever runs the command cuts it off there")
	case isCommand:
		return Hosts{Command: command}, nil
	case slices.ContainsFunc(strings.Fields(hosts), func(s string) bool { return strings.HasPrefix(s, providerPrefix) }):
		return Hosts{AutoJoin: strings.Join(strings.Fields(hosts), " ")}, checkAutoJoin(hosts)
	}
	var names []string
	for name := range strings.SplitSeq(hosts, ",") {
		name = strings.TrimSpace(name)
		if err := checkHost(name, hosts); err != nil {
			return Hosts{}, err
		}
		names = append(names, name)
	}
	return Hosts{Names: names}, nil
}

// validHost is a DNS name; underscores occur in names of service discovery.
var validHost = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$`)

// hostWithPort is a host that goes on with a port, the one mistake that has an answer of its own.
var hostWithPort = regexp.MustCompile(`^([^:]+|\[.*\]):\d+$`)

// portError is a host with a port.
type portError string

func (e portError) Error() string {
	return fmt.Sprintf("%q has a port: give the host alone", string(e))
}

// checkHost wants an address or a name, one of those in hosts.
func checkHost(name, hosts string) error {
	if _, err := netip.ParseAddr(name); err == nil || validHost.MatchString(name) {
		return nil
	}
	if hostWithPort.MatchString(name) {
		return portError(name)
	}
	return fmt.Errorf("is %q, want an IP address, a DNS name, several of them with commas between, exec= and a command that prints addresses, or provider=aws and tags", hosts)
}

// autoJoinKeys are those of go-discover's provider aws, with the values that it knows; nil for any.
var autoJoinKeys = map[string][]string{
	"provider": {"aws"}, "region": nil, "tag_key": nil, "tag_value": nil, "endpoint": nil, "ecs_cluster": nil, "ecs_family": nil,
	"addr_type": {"private_v4", "public_v4", "public_v6"}, "service": {"ec2", "ecs"},
}

// autoJoinSecrets are keys that go-discover takes and we do not.
var autoJoinSecrets = []string{"access_key_id", "secret_access_key", "session_token"}

// checkAutoJoin finds what go-discover would overlook: it ignores keys that it does not know and takes a wrong value for
// the default.
func checkAutoJoin(hosts string) error {
	given := map[string]string{}
	for _, pair := range strings.Fields(hosts) {
		key, value, err := autoJoinPair(pair)
		good, known := autoJoinKeys[key]
		_, twice := given[key]
		switch {
		case err != nil:
			return err
		case slices.Contains(autoJoinSecrets, key):
			return fmt.Errorf("has %s: secrets do not belong into the configuration; the task role finds the servers, it needs ec2:DescribeInstances", key)
		case !known:
			return fmt.Errorf("has unknown key %q, want some of provider, region, tag_key, tag_value, addr_type, service, ecs_cluster, ecs_family, endpoint", key)
		case twice:
			return fmt.Errorf("has %s twice", key)
		case good != nil && !slices.Contains(good, value):
			return fmt.Errorf("has %s=%s, want %s", key, value, strings.Join(good, " or "))
		}
		given[key] = value
	}
	for _, key := range []string{"tag_key", "tag_value"} {
		if given[key] == "" {
			return fmt.Errorf("lacks %s: provider=aws finds servers by a tag, as in provider=aws tag_key=consul tag_value=server", key)
		}
	}
	return nil
}

// autoJoinPair takes a pair apart. A value with '=' or '\' in it stands in double quotes.
func autoJoinPair(pair string) (key, value string, err error) {
	key, value, found := strings.Cut(pair, "=")
	if !found || key == "" || value == "" {
		return "", "", fmt.Errorf("has %q where key=value is wanted; a value with white space is not possible", key)
	}
	if strings.ContainsAny(value, `="\`) {
		if value, err = strconv.Unquote(value); err != nil {
			return "", "", fmt.Errorf(`has a value of %s that wants double quotes, as in %s="a=b"`, key, key)
		}
	}
	return key, value, nil
}

// OneName is the name or address of all servers, "" where there is none.
func (h Hosts) OneName() string {
	if len(h.Names) == 1 {
		return h.Names[0]
	}
	return ""
}

// checkHosts wants to know which name the servers' certificates are for.
func (s ConsulServers) checkHosts(path problem.Path, found *problem.List) {
	hosts, err := ParseHosts(s.Hosts)
	var withPort portError
	if errors.As(err, &withPort) {
		found.Add(path.Child("hosts"), "%v, and ports in %s and %s", withPort, path.Child("http", "port"), path.Child("grpc", "port"))
		return
	}
	if err != nil {
		found.Add(path.Child("hosts"), "%v", err)
		return
	}
	if grpc := s.GRPCEndpoint(); grpc.TLS && grpc.ServerName == "" && hosts.OneName() == "" {
		with := []problem.Path{path.Child("hosts"), path.Child("grpc", "tls"), path.Child("grpc", "tlsServerName"), path.Child("defaults", "tls")}
		found.AddWith(with, path.Child("defaults", "tlsServerName"),
			"is needed, as %s is no single name that the servers' certificates could be for: give the name in them, such as server.dc1.consul", path.Child("hosts"))
	}
}
