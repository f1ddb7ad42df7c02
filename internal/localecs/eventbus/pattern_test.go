package eventbus_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/eventbus"
)

// detail is that of the event of which the patterns speak, in another source than ECS's: PutEvents does not take that one.
const detail = `{"clusterArn":"arn:aws:ecs:us-east-1:123456789012:cluster/mesh","lastStatus":"STOPPED","version":6,"cpu":"256","spot":false,"note":null,
	"address":"10.0.1.7","states":["a","b"],"containers":[{"name":"app","exitCode":1},{"name":"envoy","exitCode":0}]}`

// patterns are tried here and at moto, whose matcher is somebody else's work. What moto does in another way than EventBridge's
// documentation has it is marked.
var patterns = map[string]struct {
	pattern     string
	want        bool
	motoIsApart bool
}{
	"source":                    {`{"source":["test.ecs"]}`, true, false},
	"another source":            {`{"source":["aws.ec2"]}`, false, false},
	"one of two":                {`{"source":["aws.ec2","test.ecs"],"detail-type":["ECS Task State Change"]}`, true, false},
	"both":                      {`{"source":["test.ecs"],"detail-type":["ECS Service Action"]}`, false, false},
	"the provider's":            {`{"source":["test.ecs"],"detail-type":["ECS Task State Change"],"detail":{"clusterArn":["arn:aws:ecs:us-east-1:123456789012:cluster/mesh"],"lastStatus":["STOPPED"]}}`, true, false},
	"another status":            {`{"detail":{"lastStatus":["RUNNING"]}}`, false, false},
	"case counts":               {`{"detail":{"lastStatus":["stopped"]}}`, false, false},
	"blind to case":             {`{"detail":{"lastStatus":[{"equals-ignore-case":"stopped"}]}}`, true, false},
	"number":                    {`{"detail":{"version":[6]}}`, true, false},
	"number is no text":         {`{"detail":{"version":["6"]}}`, false, false},
	"text is no number":         {`{"detail":{"cpu":[256]}}`, false, false},
	"boolean":                   {`{"detail":{"spot":[false]}}`, true, false},
	"null":                      {`{"detail":{"note":[null]}}`, true, false},
	"null is not nothing":       {`{"detail":{"novelty":[null]}}`, false, false},
	"element of a list":         {`{"detail":{"states":["b"]}}`, true, false},
	"no element of a list":      {`{"detail":{"states":["c"]}}`, false, false},
	"prefix":                    {`{"detail":{"clusterArn":[{"prefix":"arn:aws:ecs:"}]}}`, true, false},
	"another prefix":            {`{"detail":{"clusterArn":[{"prefix":"arn:aws-cn:"}]}}`, false, false},
	"prefix blind to case":      {`{"detail":{"lastStatus":[{"prefix":{"equals-ignore-case":"stop"}}]}}`, true, false},
	"suffix":                    {`{"detail":{"clusterArn":[{"suffix":"/mesh"}]}}`, true, false},
	"another suffix":            {`{"detail":{"clusterArn":[{"suffix":"/other"}]}}`, false, false},
	"wildcard":                  {`{"detail":{"clusterArn":[{"wildcard":"arn:*:cluster/m*h"}]}}`, true, false},
	"wildcard to the end":       {`{"detail":{"clusterArn":[{"wildcard":"arn:*:cluster"}]}}`, false, false},
	"wildcard's dot is a dot":   {`{"detail":{"address":[{"wildcard":"10.0.1.*"}]}}`, true, false},
	"anything but":              {`{"detail":{"lastStatus":[{"anything-but":["RUNNING","PENDING"]}]}}`, true, false},
	"anything but that":         {`{"detail":{"lastStatus":[{"anything-but":"STOPPED"}]}}`, false, false},
	"anything but a prefix":     {`{"detail":{"lastStatus":[{"anything-but":{"prefix":"STOP"}}]}}`, false, false},
	"anything but suffixes":     {`{"detail":{"lastStatus":[{"anything-but":{"suffix":["ING","ED"]}}]}}`, false, false},
	"anything but needs one":    {`{"detail":{"novelty":[{"anything-but":"x"}]}}`, false, false},
	"numeric":                   {`{"detail":{"version":[{"numeric":[">",5,"<=",6]}]}}`, true, false},
	"numeric, out of range":     {`{"detail":{"version":[{"numeric":[">",5,"<",6]}]}}`, false, false},
	"numeric of a text":         {`{"detail":{"cpu":[{"numeric":["=",256]}]}}`, false, true}, // moto fails
	"network":                   {`{"detail":{"address":[{"cidr":"10.0.0.0/16"}]}}`, true, false},
	"another network":           {`{"detail":{"address":[{"cidr":"10.1.0.0/16"}]}}`, false, false},
	"exists":                    {`{"detail":{"lastStatus":[{"exists":true}]}}`, true, false},
	"does not exist":            {`{"detail":{"novelty":[{"exists":true}]}}`, false, false},
	"must not exist":            {`{"detail":{"novelty":[{"exists":false}]}}`, true, false},
	"must not exist but does":   {`{"detail":{"lastStatus":[{"exists":false}]}}`, false, false},
	"must not exist, far below": {`{"detail":{"some":{"where":[{"exists":false}]}}}`, true, false},
	"absent or a value":         {`{"detail":{"novelty":["x",{"exists":false}]}}`, true, false},
	"either, the second":        {`{"detail":{"$or":[{"lastStatus":["RUNNING"]},{"version":[6]}]}}`, true, false},
	"either, and more":          {`{"detail":{"$or":[{"lastStatus":["STOPPED"]},{"version":[7]}],"cpu":["512"]}}`, false, false},
	"either, none":              {`{"detail":{"$or":[{"lastStatus":["RUNNING"]},{"version":[7]}]}}`, false, false},
	"object of a list":          {`{"detail":{"containers":{"name":["envoy"]}}}`, true, true}, // moto does not look into lists
	"one object has both":       {`{"detail":{"containers":{"name":["app"],"exitCode":[1]}}}`, true, true},
	"no object has both":        {`{"detail":{"containers":{"name":["app"],"exitCode":[0]}}}`, false, false},
	"field of a text":           {`{"detail":{"lastStatus":{"name":["x"]}}}`, false, false},
}

func TestPatternsFitAsThoseOfEventBridge(t *testing.T) {
	t.Parallel()
	var event any
	text := `{"source":"test.ecs","detail-type":"ECS Task State Change","account":"123456789012","detail":` + detail + `}`
	if err := json.Unmarshal([]byte(text), &event); err != nil {
		t.Fatal(err)
	}
	for name, c := range patterns {
		p, err := eventbus.ParsePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := p.Matches(event); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}

func TestMotoAgreesOnPatterns(t *testing.T) {
	t.Parallel()
	c := connect(t)
	n := 0
	for name, pattern := range patterns {
		if pattern.motoIsApart {
			continue
		}
		n++
		bus := fmt.Sprintf("patterns-%d", n)
		must(c.events.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: &bus}))(t)
		url, arn := c.queue(bus, "")
		must(c.events.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("rule"), EventBusName: &bus, EventPattern: &pattern.pattern}))(t)
		must(c.events.PutTargets(t.Context(), &eventbridge.PutTargetsInput{
			Rule: aws.String("rule"), EventBusName: &bus, Targets: []ebtypes.Target{{Id: aws.String("1"), Arn: &arn}},
		}))(t)
		must(c.events.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{{
			EventBusName: &bus, Source: aws.String("test.ecs"), DetailType: aws.String("ECS Task State Change"), Detail: aws.String(detail),
		}}}))(t)
		got := must(c.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url}))(t)
		if (len(got.Messages) == 1) != pattern.want {
			t.Errorf("%s: moto delivers %d messages, want %t", name, len(got.Messages), pattern.want)
		}
	}
	if n < 40 {
		t.Errorf("moto was asked for %d patterns only", n)
	}
}

func TestAPatternThatIsNotUnderstoodIsAnError(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		`{`:                                              "read event pattern",
		`{}`:                                             "an object without fields",
		`{"source":"aws.ecs"}`:                           "source: aws.ecs is neither an object nor a list",
		`{"source":[]}`:                                  "source: an empty list",
		`{"source":[["aws.ecs"]]}`:                       "source: a list in a list",
		`{"detail":{"a":[{"novelty":"x"}]}}`:             `detail: a: operator "novelty" is not known`,
		`{"detail":{"a":[{"prefix":1}]}}`:                "prefix: 1 is not a text",
		`{"detail":{"a":[{"numeric":[">"]}]}}`:           "is not a list of pairs",
		`{"detail":{"a":[{"numeric":["~",1]}]}}`:         "is not a comparison with a number",
		`{"detail":{"a":[{"cidr":"x"}]}}`:                "detail: a: netip.ParsePrefix",
		`{"detail":{"a":[{"anything-but":[{}]}]}}`:       "anything-but: a list in a list",
		`{"detail":{"a":[{"prefix":"x","suffix":"y"}]}}`: "2 operators in one object",
		`{"$or":[["x"]]}`:                                "$or: an object without fields",
	} {
		if _, err := eventbus.ParsePattern(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", pattern, err, want)
		}
	}
}
