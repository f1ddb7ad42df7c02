package control

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/definition"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
)

// ECS's words for the status of clusters and services.
const (
	active   = "ACTIVE"
	draining = "DRAINING"
	inactive = "INACTIVE"
)

const (
	defaultCluster = "default"
	maxPage        = 100
)

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

// CreateCluster makes a cluster, or returns the active one of that name.
func (c *Control) CreateCluster(in *ecs.CreateClusterInput) (*ecs.CreateClusterOutput, error) {
	name := cmp.Or(aws.ToString(in.ClusterName), defaultCluster)
	if !namePattern.MatchString(name) {
		return nil, badParameter("Invalid cluster name '%s': up to 255 letters, numbers, underscores and hyphens are allowed.", name)
	}
	if err := definition.CheckTags(in.Tags); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cl, ok := c.state.Clusters[name]
	if !ok || aws.ToString(cl.Status) != active {
		cl = &cluster{ecstypes.Cluster{
			ClusterName: &name, ClusterArn: aws.String(c.cfg.Account.Cluster(name)), Status: aws.String(active),
			CapacityProviders: orEmpty(in.CapacityProviders), DefaultCapacityProviderStrategy: orEmpty(in.DefaultCapacityProviderStrategy),
			Configuration: in.Configuration, Settings: clusterSettings(in.Settings), Tags: in.Tags,
		}}
		if d := in.ServiceConnectDefaults; d != nil {
			cl.ServiceConnectDefaults = &ecstypes.ClusterServiceConnectDefaults{Namespace: d.Namespace}
		}
		c.state.Clusters[name] = cl
		c.touch()
	}
	out := c.describeCluster(cl, []ecstypes.ClusterField{ecstypes.ClusterFieldTags, ecstypes.ClusterFieldSettings, ecstypes.ClusterFieldConfigurations})
	return &ecs.CreateClusterOutput{Cluster: &out}, nil
}

func clusterSettings(given []ecstypes.ClusterSetting) []ecstypes.ClusterSetting {
	if len(given) > 0 {
		return given
	}
	return []ecstypes.ClusterSetting{{Name: ecstypes.ClusterSettingNameContainerInsights, Value: aws.String("disabled")}}
}

// DescribeClusters describes up to 100 clusters; the default one if none is named.
func (c *Control) DescribeClusters(in *ecs.DescribeClustersInput) (*ecs.DescribeClustersOutput, error) {
	if len(in.Clusters) > maxPage {
		return nil, badParameter("Cannot describe more than %d clusters.", maxPage)
	}
	refs := in.Clusters
	if len(refs) == 0 {
		refs = []string{defaultCluster}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	out := &ecs.DescribeClustersOutput{Clusters: []ecstypes.Cluster{}, Failures: []ecstypes.Failure{}}
	for _, ref := range refs {
		name := names.Last(ref)
		if cl, ok := c.state.Clusters[name]; ok {
			out.Clusters = append(out.Clusters, c.describeCluster(cl, in.Include))
		} else {
			out.Failures = append(out.Failures, missing(c.cfg.Account.Cluster(name)))
		}
	}
	return out, nil
}

// describeCluster adds the counts and leaves out what was not asked for.
func (c *Control) describeCluster(cl *cluster, include []ecstypes.ClusterField) ecstypes.Cluster {
	out := cl.Cluster
	if !slices.Contains(include, ecstypes.ClusterFieldTags) {
		out.Tags = nil
	}
	if !slices.Contains(include, ecstypes.ClusterFieldSettings) {
		out.Settings = nil
	}
	if !slices.Contains(include, ecstypes.ClusterFieldConfigurations) {
		out.Configuration = nil
	}
	for _, t := range c.state.Tasks {
		switch {
		case *t.ClusterArn != *cl.ClusterArn || t.hasStopped():
		case *t.LastStatus == engine.StatusRunning:
			out.RunningTasksCount++
		case *t.DesiredStatus == engine.StatusRunning:
			out.PendingTasksCount++
		}
	}
	for _, s := range c.state.Services {
		if *s.ClusterArn == *cl.ClusterArn && *s.Status == active {
			out.ActiveServicesCount++
		}
	}
	return out
}

// ListClusters lists the ARNs of the active clusters.
func (c *Control) ListClusters(in *ecs.ListClustersInput) (*ecs.ListClustersOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var arns []string
	for _, name := range slices.Sorted(maps.Keys(c.state.Clusters)) {
		if cl := c.state.Clusters[name]; *cl.Status == active {
			arns = append(arns, *cl.ClusterArn)
		}
	}
	list, next, err := page(arns, in.MaxResults, in.NextToken, maxPage)
	return &ecs.ListClustersOutput{ClusterArns: list, NextToken: next}, err
}

// DeleteCluster makes a cluster without services and tasks inactive.
func (c *Control) DeleteCluster(in *ecs.DeleteClusterInput) (*ecs.DeleteClusterOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cl, err := c.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	for _, s := range c.state.Services {
		if *s.ClusterArn == *cl.ClusterArn && *s.Status != inactive {
			return nil, &ecstypes.ClusterContainsServicesException{Message: aws.String("The Cluster cannot be deleted while Services are active.")}
		}
	}
	for _, t := range c.state.Tasks {
		if *t.ClusterArn == *cl.ClusterArn && !t.hasStopped() {
			return nil, &ecstypes.ClusterContainsTasksException{Message: aws.String("The Cluster cannot be deleted while Tasks are active.")}
		}
	}
	cl.Status = aws.String(inactive)
	c.touch()
	out := c.describeCluster(cl, nil)
	return &ecs.DeleteClusterOutput{Cluster: &out}, nil
}

// cluster finds the active cluster that ref, a name or an ARN, names; nil or "" is the default one.
func (c *Control) cluster(ref *string) (*cluster, error) {
	name := cmp.Or(names.Last(aws.ToString(ref)), defaultCluster)
	cl, ok := c.state.Clusters[name]
	if !ok {
		return nil, &ecstypes.ClusterNotFoundException{Message: aws.String("Cluster not found.")}
	}
	if *cl.Status != active {
		return nil, &ecstypes.ClusterNotFoundException{Message: aws.String("The referenced cluster was inactive.")}
	}
	return cl, nil
}

// page cuts the part out of a list that a List action asked for. The token holds how many entries were given and the
// last of them, so that it stays right when the list changes between two calls.
func page(all []string, size *int32, token *string, most int) (list []string, next *string, err error) {
	n := most
	if size != nil {
		n = int(*size)
	}
	if n < 1 || n > most {
		return nil, nil, badParameter("maxResults must be between 1 and %d.", most)
	}
	from := 0
	if t := aws.ToString(token); t != "" {
		text, err := base64.URLEncoding.DecodeString(t)
		given, last, _ := strings.Cut(string(text), " ")
		count, countErr := strconv.Atoi(given)
		if err != nil || countErr != nil || count < 0 {
			return nil, nil, badParameter("Invalid token in request.")
		}
		from = count
		if i := slices.Index(all, last); i >= 0 {
			from = i + 1
		}
	}
	rest := all[min(from, len(all)):]
	if len(rest) <= n {
		return orEmpty(rest), nil, nil
	}
	text := fmt.Sprint(from+n, " ", rest[n-1])
	return rest[:n], aws.String(base64.URLEncoding.EncodeToString([]byte(text))), nil
}

func missing(arn string) ecstypes.Failure {
	return ecstypes.Failure{Arn: &arn, Reason: aws.String("MISSING")}
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
