package iamrole

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode"
)

// version is the version of IAM's policy language.
const version = "2012-10-17"

// document is an IAM policy.
type document struct {
	Version   string
	Statement []statement
}

// statement grants actions. The keys of a condition are written in the order of their names.
type statement struct {
	Sid       string `json:",omitempty"`
	Effect    string
	Principal map[string]string           `json:",omitempty"`
	Action    []string                    `json:",omitempty"`
	Resource  []string                    `json:",omitempty"`
	Condition map[string]map[string]texts `json:",omitempty"`
}

// texts are the values of a condition, one of which has to fit. One alone is written as it is.
type texts []string

// MarshalJSON implements json.Marshaler.
func (t texts) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

func allow(sid string, actions, resources []string) statement {
	return statement{Sid: sid, Effect: "Allow", Action: actions, Resource: resources}
}

// json writes the document without white space: IAM counts the rest against its limits.
func (d document) json() string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		panic("internal error: write a policy document: " + err.Error()) // strings in lists and maps: cannot fail
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// trust lets ECS hand the role to tasks. Unless anySource, only on behalf of this account, in this Region, so that nobody
// else can talk ECS into using the role.
func trust(home Home, anySource bool) document {
	s := statement{
		Effect:    "Allow",
		Principal: map[string]string{"Service": "ecs-tasks.amazonaws.com"}, // the same in every AWS partition
		Action:    []string{"sts:AssumeRole"},
	}
	if !anySource {
		s.Condition = map[string]map[string]texts{
			"StringEquals": {"aws:SourceAccount": {home.Account}},
			"ArnLike":      {"aws:SourceArn": {fmt.Sprintf("arn:%s:ecs:%s:%s:*", home.Partition, home.Region, home.Account)}},
		}
	}
	return document{version, []statement{s}}
}

// QueuePolicy is the policy of an SQS queue that one EventBridge rule alone fills, and nobody reaches without TLS.
func QueuePolicy(queueARN, ruleARN string) string {
	fill := allow("TakeEvents", []string{"sqs:SendMessage"}, []string{queueARN})
	fill.Principal = map[string]string{"Service": "events.amazonaws.com"} // the same in every AWS partition
	fill.Condition = map[string]map[string]texts{"ArnEquals": {"aws:SourceArn": {ruleARN}}}
	return document{version, []statement{fill, overTLS(queueARN)}}.json()
}

// DeadLetterQueuePolicy is the policy of the queue that SQS itself fills.
func DeadLetterQueuePolicy(queueARN string) string {
	return document{version, []statement{overTLS(queueARN)}}.json()
}

func overTLS(queueARN string) statement {
	return statement{
		Sid: "WantTLS", Effect: "Deny", Principal: map[string]string{"AWS": "*"}, Action: []string{"sqs:*"}, Resource: []string{queueARN},
		Condition: map[string]map[string]texts{"Bool": {"aws:SecureTransport": {"false"}}},
	}
}

// maxInline is IAM's limit for the inline policies of a role together, in characters without white space.
const maxInline = 10240

// inline gives the role the statements as the mesh's inline policy, if there are any.
func (r Role) inline(name string, statements []statement) (Role, error) {
	length := 0
	for _, policy := range r.InlinePolicies {
		length += lengthOf(policy)
	}
	if len(statements) > 0 {
		r.PolicyName, r.Policy = name, document{version, statements}.json()
		length += len(r.Policy)
	}
	switch {
	case length <= maxInline:
		return r, nil
	case len(r.InlinePolicies) > 0:
		return Role{}, fmt.Errorf("make role %s: its inline policies have %d characters together, %d of them the mesh's own, IAM takes %d: put yours into managed policies", r.Name, length, len(r.Policy), maxInline)
	default:
		return Role{}, fmt.Errorf("make role %s: its policy has %d characters, IAM takes %d", r.Name, length, maxInline)
	}
}

// lengthOf is how many characters IAM counts of a policy.
func lengthOf(policy string) int {
	n := 0
	for _, c := range policy {
		if !unicode.IsSpace(c) {
			n++
		}
	}
	return n
}
