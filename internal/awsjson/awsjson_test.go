package awsjson_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
)

func TestRoundTripKeepsEveryField(t *testing.T) {
	t.Parallel()
	in := ecs.RegisterTaskDefinitionInput{
		Family: aws.String("web"),
		ContainerDefinitions: []ecstypes.ContainerDefinition{{
			Name: aws.String("app"), Essential: aws.Bool(false), Cpu: 0, Memory: aws.Int32(0),
			PortMappings: []ecstypes.PortMapping{{ContainerPort: aws.Int32(80), Protocol: ecstypes.TransportProtocolTcp}},
			Command:      []string{},
			DockerLabels: map[string]string{"A": "b"},
		}},
		Volumes: []ecstypes.Volume{{Name: aws.String("v"), EfsVolumeConfiguration: &ecstypes.EFSVolumeConfiguration{FileSystemId: aws.String("fs-1")}}},
	}
	got, err := awsjson.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"containerDefinitions":[{"command":[],"dockerLabels":{"A":"b"},"essential":false,"memory":0,"name":"app",` +
		`"portMappings":[{"containerPort":80,"protocol":"tcp"}]}],"family":"web",` +
		`"volumes":[{"efsVolumeConfiguration":{"fileSystemId":"fs-1"},"name":"v"}]}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	var back ecs.RegisterTaskDefinitionInput
	if err := awsjson.UnmarshalStrict(got, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, back, cmpopts.IgnoreUnexported(in, in.ContainerDefinitions[0], in.ContainerDefinitions[0].PortMappings[0], in.Volumes[0], *in.Volumes[0].EfsVolumeConfiguration)); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

func TestTimesAreSecondsSince1970(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 4, 5, 6, 789e6, time.UTC)
	got, err := awsjson.Marshal(ecstypes.Task{CreatedAt: &at})
	if err != nil || string(got) != `{"createdAt":1795406706.789}` {
		t.Fatalf("got %s, %v", got, err)
	}
	var back ecstypes.Task
	if err := awsjson.Unmarshal(got, &back); err != nil || !back.CreatedAt.Equal(at) {
		t.Errorf("read back %v, %v, want %v", back.CreatedAt, err, at)
	}
}

func TestWrongTypesAreNamedByPath(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"string for number": {`{"containerDefinitions":[{"cpu":"10"}]}`, "containerDefinitions[0].cpu: got a string, want a whole number"},
		"fraction":          {`{"containerDefinitions":[{"cpu":1.5}]}`, "containerDefinitions[0].cpu: got the number 1.5, want a whole number"},
		"too large":         {`{"containerDefinitions":[{"cpu":3000000000}]}`, "containerDefinitions[0].cpu: got the number 3000000000, want a whole number"},
		"object for list":   {`{"containerDefinitions":{}}`, "containerDefinitions: got an object, want a list"},
		"list at the root":  {`[]`, "(root): got a list, want an object"},
		"bool for string":   {`{"family":true}`, "family: got true, want a string"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := awsjson.Unmarshal([]byte(c.in), &ecs.RegisterTaskDefinitionInput{})
			if err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestUnknownKeysAreRefusedOnlyWhenStrict(t *testing.T) {
	t.Parallel()
	in := []byte(`{"familiy":"x"}`)
	if err := awsjson.Unmarshal(in, &ecs.DescribeTasksInput{}); err != nil {
		t.Error(err)
	}
	err := awsjson.UnmarshalStrict(in, &ecs.DescribeTasksInput{})
	if want := "familiy: unknown key, want one of cluster, include, tasks"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAUnionIsAnObjectWithOneKey(t *testing.T) {
	t.Parallel()
	in := ecstypes.ResourceRequirement{Type: ecstypes.ResourceTypeGpu, SharingStrategy: &ecstypes.SharingStrategyMemberNvidiaMps{Value: ecstypes.NvidiaMpsAllocation{Memory: aws.Int32(0)}}}
	got, err := awsjson.Marshal(in)
	if want := `{"sharingStrategy":{"nvidiaMps":{"memory":0}},"type":"GPU"}`; err != nil || string(got) != want {
		t.Fatalf("got %s, %v, want %s", got, err, want)
	}
	var back ecstypes.ResourceRequirement
	if err := awsjson.UnmarshalStrict(got, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, back, cmpopts.IgnoreUnexported(in, ecstypes.SharingStrategyMemberNvidiaMps{}, ecstypes.NvidiaMpsAllocation{})); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	for text, want := range map[string]string{
		`{"sharingStrategy":{"mps":{}}}`:                   "sharingStrategy: unknown key, want one of nvidiaMps",
		`{"sharingStrategy":{}}`:                           "sharingStrategy: got an object, want an object with one key",
		`{"sharingStrategy":{"nvidiaMps":{"memory":"1"}}}`: "sharingStrategy.nvidiaMps.memory: got a string, want a whole number",
	} {
		if err := awsjson.Unmarshal([]byte(text), &back); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
