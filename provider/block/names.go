package block

import (
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

func NamesRow() schema.SingleNestedBlock {
	return row.Object("Lets the application call `http://<service>.virtual.consul` without `upstream` and without redirection: the names lead to addresses on loopback, where the proxy listens. It takes no capability, so it works on Fargate, on EC2 and on managed instances. "+
		"`consul-ecs-mesh-init` runs as root with a writable root file system, as it writes `/etc/resolv.conf`, and the task gets `net.ipv4.ip_unprivileged_port_start = 0`. On EC2 it is tested, on Fargate ready and unconfirmed: the guide \"Names without a list\" has a check of Fargate. "+
		"Not together with `transparent_proxy`. Any change here registers a new revision, which replaces the tasks.", row.Fields{
		"enabled": row.Flag("Serve the names. Default `false`."),
		"ports": row.NumberSet("Ports at which every name is reached, 1 to 16 of them, each 1 to 65535. Each leads to any service, so the one of `http://` is enough for most. No container may listen at one of them. " +
			"Default `80`."),
	})
}

type Names struct {
	Enabled *bool   `tfsdk:"enabled"`
	Ports   []int32 `tfsdk:"ports"`
}

func (m *Names) Spec() agentconfig.Names {
	var n agentconfig.Names
	if m != nil {
		row.ToSpec(&n, m)
		slices.Sort(n.Ports) // a set: the definition is the same however it is written
	}
	return n
}

// ReadNames is nil where nothing is called by name.
func ReadNames(cfg agentconfig.Config) *Names {
	if !cfg.CallsByName() {
		return nil
	}
	m := &Names{Enabled: aws.Bool(true)}
	row.FromSpec(&m.Ports, cfg.Names.Ports)
	return m
}

// firstForNames is Fargate's first platform version that takes kernel parameters.
var firstForNames = []int{1, 4, 0}

// CheckPlatform refuses a platform version on which the task could not call by name. at is where tasks run.
func (m Network) CheckPlatform(of taskdef.Spec, at problem.Path, found *problem.List) {
	version := row.Value(m.PlatformVersion)
	if enabled := problem.At("names", "enabled"); aws.ToBool(of.Names.Enabled) && isBefore(version, firstForNames) {
		found.AddWith([]problem.Path{enabled}, at.Child("platform_version"), "is %q, which does not take the kernel parameter that %s needs: want 1.4.0 or later, or %s", version, enabled, LatestPlatform)
	}
}

// isBefore reports whether a version of numbers and dots is before another. What is no such version, as LATEST, is not.
func isBefore(version string, other []int) bool {
	var numbers []int
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return false
		}
		numbers = append(numbers, n)
	}
	return slices.Compare(numbers, other) < 0
}
