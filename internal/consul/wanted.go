package consul

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/acl"
)

// ReplayOf is what the auth method for logins from the region has to say. By themselves Consul's servers (1.22) send requests
// to hosts under amazonaws.com alone, which are those of the AWS partitions aws and aws-us-gov; they refuse a login that was
// signed for one of China's. The names are as the logins' own, since the host is signed too.
func ReplayOf(ctx context.Context, region string) (acl.Replay, error) {
	sts, iam, err := awsapi.LoginEndpoints(ctx, region)
	if err != nil {
		return acl.Replay{}, err
	}
	var r acl.Replay
	if !knownToConsul(sts) {
		r.STSEndpoint = sts
	}
	if !knownToConsul(iam) {
		r.IAMEndpoint = iam
	}
	return r, nil
}

func knownToConsul(endpoint string) bool {
	u, err := url.Parse(endpoint)
	return err == nil && strings.HasSuffix(u.Hostname(), ".amazonaws.com")
}

// WantedOf is what Consul has to hold for the tasks of an account and AWS partition, by the controller's settings. Logins come
// from the region.
func WantedOf(ctx context.Context, settings agentconfig.Controller, awsPartition, accountID, region string) (acl.Wanted, error) {
	fallback, err := ReplayOf(ctx, region)
	if err != nil {
		return acl.Wanted{}, err
	}
	path := strings.Trim(settings.IAMRolePath, "/")
	if path != "" {
		path += "/"
	}
	method := settings.AuthMethod
	want := acl.Wanted{
		Method: acl.Method{
			Name:                method.Name,
			BoundPrincipals:     []string{fmt.Sprintf("arn:%s:iam::%s:role/%s*", awsPartition, accountID, path)},
			STSEndpoint:         strings.TrimRight(method.STSEndpoint, "/"), // as the agents trim theirs
			IAMEndpoint:         strings.TrimRight(method.IAMEndpoint, "/"),
			Fallback:            fallback,
			ServerIDHeaderValue: method.ServerIDHeaderValue,
			MaxRetries:          method.MaxRetries,
		},
		AnonymousReads: *settings.AnonymousReads,
		Partition:      settings.Partition,
	}
	if method.TokenTTLSeconds != nil {
		want.Method.TokenTTL = time.Duration(*method.TokenTTLSeconds) * time.Second
	}
	return want, nil
}
