package consul

import (
	"context"
	"net/url"
	"strings"

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
