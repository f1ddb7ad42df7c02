package secrets

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/devserver"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

var home = iamrole.Home{Partition: "aws", Region: "us-east-1", Account: "123456789012"}

// moto is shared by all tests: families keep them apart.
var moto testenv.SharedMoto

func TestMain(m *testing.M) {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"} {
		_ = os.Setenv(name, value)
	}
	code := m.Run()
	_ = moto.Stop()
	os.Exit(code)
}

// cloud is an AWS on a bad day, and the same on a good one.
type cloud struct {
	proxy *awsfault.Proxy
	*Keeper
	sure *Keeper
}

func startCloud(t *testing.T) cloud {
	t.Helper()
	url := moto.URL(t)
	c := cloud{proxy: awsfault.Start(t, url)}
	c.Keeper, c.sure = keeperAt(t, c.proxy.URL), keeperAt(t, url)
	return c
}

func keeperAt(t *testing.T, url string) *Keeper {
	t.Helper()
	cfg, err := awsapi.Load(t.Context(), awsapi.Config{Region: home.Region, Retries: &awsapi.Retries{}, Endpoints: map[string]string{awsapi.ServiceSecretsManager: url}})
	if err != nil {
		t.Fatal(err)
	}
	return NewKeeper(cfg, func(string) bool { return false })
}

// wanted are the secrets of a family.
func wanted(family, tag string) Design {
	names := devserver.SecretsOf(family)
	return Design{Home: home, Names: names, Tags: map[string]string{"tag": tag}, Make: func() (map[string]string, error) {
		return devserver.NewSecrets(time.Now(), names, "dc1", "")
	}}
}

func claimOf(family string) Claim {
	return Claim{Owner: ownership.Owner{Name: "consulecs_dev_server/us-east-1/" + family, ID: "id-of-" + family}}
}

// ensure is an apply, and what the state has afterwards.
func (k *Keeper) ensure(ctx context.Context, d Design, by Claim, had Outputs) (Outputs, *Progress, error) {
	p, err := Begin(had)
	if err != nil {
		return had, nil, err
	}
	out, err := Decided(&d, by.Owner, had)
	set, made := k.Ensure(ctx, d, by, row.Value(had.Version), p)
	listed, listErr := p.Listed(by.Owner)
	out.Rendered = listed
	if made == nil {
		out.Version, out.CACertificate = &set.Version, &set.CACertificate
	}
	return out, p, errors.Join(err, listErr, made)
}

// is says what the world lacks of the design.
func (c cloud) is(ctx context.Context, d Design, by Claim, out Outputs) error {
	want, err := Decided(&d, by.Owner, out)
	if err != nil {
		return err
	}
	seen := out
	exist, err := c.sure.Look(ctx, by, d.Names, &seen)
	if err == nil && (!exist || row.Value(seen.Rendered) != row.Value(want.Rendered) || row.Value(seen.Version) == "" || row.Value(seen.Version) != row.Value(out.Version)) {
		err = fmt.Errorf("there is %s of version %q, want %s of version %q", row.Value(seen.Rendered), row.Value(seen.Version), row.Value(want.Rendered), row.Value(out.Version))
	}
	set, readErr := c.sure.Read(ctx, d.Names)
	if readErr == nil && (set == nil || set.CACertificate != row.Value(out.CACertificate)) {
		readErr = errors.New("the certificate is another one")
	}
	return errors.Join(err, readErr)
}

// isGone says what is left.
func (c cloud) isGone(ctx context.Context, d Design) error {
	there, err := c.sure.There(ctx, d.Names)
	for _, left := range there {
		err = errors.Join(err, errors.New(left.What+" is left"))
	}
	return err
}

// value reads a secret.
func (c cloud) value(t *testing.T, name string) string {
	t.Helper()
	is, err := c.sure.client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &name})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(is.SecretString)
}
