package events

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/eventqueue"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

var home = iamrole.Home{Partition: "aws", Region: "us-east-1", Account: "123456789012"}

const clusterARN = "arn:aws:ecs:us-east-1:123456789012:cluster/"

// moto is shared by all tests: families keep them apart.
var moto = sync.OnceValues(func() (*testenv.AWS, error) { return testenv.StartMoto(context.Background()) })

func TestMain(m *testing.M) {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"} {
		_ = os.Setenv(name, value)
	}
	code := m.Run()
	if emulator, err := moto(); err == nil {
		_ = emulator.Stop()
	}
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
	emulator, err := moto()
	if err != nil {
		t.Fatal(err)
	}
	c := cloud{proxy: awsfault.Start(t, emulator.URL)}
	c.Keeper, c.sure = keeperAt(t, c.proxy.URL), keeperAt(t, emulator.URL)
	return c
}

func keeperAt(t *testing.T, url string) *Keeper {
	t.Helper()
	cfg, err := awsapi.Load(t.Context(), awsapi.Config{
		Region: home.Region, Retries: &awsapi.Retries{}, Endpoints: map[string]string{awsapi.ServiceSQS: url, awsapi.ServiceEvents: url},
	})
	if err != nil {
		t.Fatal(err)
	}
	return NewKeeper(cfg, func(string) bool { return false })
}

// wanted are the events of ECS clusters, for a family.
func wanted(family string, ecsClusters ...string) eventqueue.Design {
	s := eventqueue.Spec{Home: home, Family: family, Tags: map[string]string{"clusters": strings.Join(ecsClusters, "-")}}
	for _, name := range ecsClusters {
		s.ECSClusterARNs = append(s.ECSClusterARNs, clusterARN+name)
	}
	return eventqueue.Of(s)
}

func claimOf(family string) Claim {
	return Claim{Claim: ownership.Claim{Owner: ownership.Owner{Name: "consulecs_controller/us-east-1/" + family, ID: "id-of-" + family}}, Home: home}
}

// ensure is an apply, and what the state has afterwards.
func (k *Keeper) ensure(ctx context.Context, d eventqueue.Design, by Claim, had Outputs) (Outputs, *Progress, error) {
	p, err := Begin(had)
	if err != nil {
		return had, nil, err
	}
	out, err := Decided(&d, by.Owner)
	made := k.Ensure(ctx, d, by, p)
	listed, listErr := p.Listed(by.Owner)
	out.Rendered = listed
	return out, p, errors.Join(err, listErr, made)
}

// is says what the world lacks of the design.
func (c cloud) is(ctx context.Context, d eventqueue.Design, by Claim, out Outputs) error {
	want, err := Decided(&d, by.Owner)
	if err != nil {
		return err
	}
	if row.Value(out.Rendered) != row.Value(want.Rendered) {
		return errors.New("the state has " + row.Value(out.Rendered))
	}
	exist, err := c.sure.Look(ctx, by, &out)
	if err == nil && (!exist || row.Value(out.Rendered) != row.Value(want.Rendered)) {
		err = errors.New("there is " + row.Value(out.Rendered) + ", want " + row.Value(want.Rendered))
	}
	there, thereErr := c.sure.There(ctx, d)
	foreign := func(clash ownership.Clash) bool { return !by.Owner.Is(clash.Tags[ownership.TagECSID]) }
	if thereErr == nil && (len(there) != 3 || slices.ContainsFunc(there, foreign)) {
		err = errors.Join(err, errors.New("not all of it is the owner's"))
	}
	return errors.Join(err, thereErr)
}

// isGone says what is left.
func (c cloud) isGone(ctx context.Context, d eventqueue.Design) error {
	there, err := c.sure.There(ctx, d)
	for _, left := range there {
		err = errors.Join(err, errors.New(left.What+" is left"))
	}
	return err
}
