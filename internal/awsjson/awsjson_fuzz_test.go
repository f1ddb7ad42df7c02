package awsjson_test

import (
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
)

// FuzzUnmarshal reads requests, and wants that one that is read says the same once it is written and read again.
func FuzzUnmarshal(f *testing.F) {
	for _, doc := range []string{
		`null`, `[]`, `{}`, `{"family":"web"}{}`, `{"family":null,"tags":[null],"containerDefinitions":[{"cpu":1e2}]}`, `{"volumes":[{}],"ephemeralStorage":{"sizeInGiB":30}}`,
		`{"family":"web","cpu":"256","networkMode":"awsvpc","requiresCompatibilities":["FARGATE"],"containerDefinitions":[{"name":"app","essential":false,
			"environment":[{"name":"A","value":""}],"healthCheck":{"command":["CMD","x"],"startPeriod":0},"portMappings":[{"containerPort":80,"protocol":"tcp"}],
			"dockerLabels":{"a":"","b":null},"ulimits":[{"name":"nofile","hardLimit":2147483648}]}]}`,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		var first, second ecs.RegisterTaskDefinitionInput
		if err := awsjson.Unmarshal(doc, &first); err != nil {
			return
		}
		written, err := awsjson.Marshal(first)
		if err != nil {
			t.Fatal(err)
		}
		if err := awsjson.UnmarshalStrict(written, &second); err != nil {
			t.Fatalf("read %s: %v", written, err)
		}
		if diff := cmp.Diff(first, second, cmpopts.EquateEmpty(), cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
			t.Errorf("%s (-first +second):\n%s", written, diff)
		}
	})
}
