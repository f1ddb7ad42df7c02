package eventbus

import (
	"strings"
	"testing"
)

const (
	queueARN = "arn:aws:sqs:us-east-1:123456789012:events"
	ruleARN  = "arn:aws:events:us-east-1:123456789012:rule/tasks"
)

func TestAPolicyLetsARuleSend(t *testing.T) {
	t.Parallel()
	statement := func(fields string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + queueARN + `"` + fields + `}]}`
	}
	plain := statement("")
	deny := func(fields string) string {
		return strings.Replace(plain, `"Statement":[`, `"Statement":[{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*"`+fields+`},`, 1)
	}
	for name, c := range map[string]struct{ policy, want string }{
		"plain":                    {plain, ""},
		"for the rule":             {statement(`,"Condition":{"ArnEquals":{"aws:SourceArn":"` + ruleARN + `"}}`), ""},
		"for rules of a name":      {statement(`,"Condition":{"ArnLike":{"AWS:SourceArn":["arn:aws:events:*:*:rule/other","arn:aws:events:*:*:rule/t?sks"]}}`), ""},
		"for the account's":        {statement(`,"Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"}}`), ""},
		"one statement, no list":   {strings.NewReplacer("[", "", "]", "").Replace(plain), ""},
		"lists of everything":      {strings.NewReplacer(`"events.amazonaws.com"`, `["sns.amazonaws.com","events.amazonaws.com"]`, `"sqs:SendMessage"`, `["SQS:sendmessage","sqs:ReceiveMessage"]`).Replace(plain), ""},
		"everyone":                 {strings.Replace(plain, `{"Service":"events.amazonaws.com"}`, `"*"`, 1), ""},
		"everyone of AWS":          {strings.Replace(plain, `"Service":"events.amazonaws.com"`, `"AWS":"*"`, 1), ""},
		"everything of SQS":        {strings.Replace(plain, `sqs:SendMessage`, `sqs:*`, 1), ""},
		"all queues":               {strings.Replace(plain, queueARN, "*", 1), ""},
		"plain text denied":        {deny(`,"Condition":{"Bool":{"aws:SecureTransport":"false"}}`), ""},
		"none":                     {"", "the queue has no policy that allows events.amazonaws.com to send"},
		"broken":                   {"{", "read policy"},
		"for another rule":         {statement(`,"Condition":{"ArnEquals":{"aws:SourceArn":"` + ruleARN + `2"}}`), "does not allow events.amazonaws.com to send for rule " + ruleARN},
		"for another account's":    {statement(`,"Condition":{"StringEquals":{"aws:SourceAccount":"1"}}`), "does not allow"},
		"two conditions, one ends": {statement(`,"Condition":{"ArnEquals":{"aws:SourceArn":"` + ruleARN + `"},"StringEquals":{"aws:SourceAccount":"1"}}`), "does not allow"},
		"unknown key":              {statement(`,"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}`), "does not allow"},
		"unknown operator":         {statement(`,"Condition":{"ArnNotEquals":{"aws:SourceArn":"x"}}`), "does not allow"},
		"for somebody else":        {strings.Replace(plain, "events.", "sns.", 1), "does not allow"},
		"for the account's roles":  {strings.Replace(plain, `"Service":"events.amazonaws.com"`, `"AWS":"123456789012"`, 1), "does not allow"},
		"another action":           {strings.Replace(plain, "SendMessage", "ReceiveMessage", 1), "does not allow"},
		"another queue":            {strings.Replace(plain, queueARN, queueARN+"2", 1), "does not allow"},
		"denied":                   {deny(""), "the queue's policy denies it"},
		"denied who knows whom":    {deny(`,"Condition":{"StringNotEquals":{"aws:SourceAccount":"1"}}`), "the queue's policy denies it"},
		"all but":                  {strings.Replace(plain, `"Action"`, `"NotAction"`, 1), "does not allow"},
	} {
		err := allowed(c.policy, request{queueARN, ruleARN, "123456789012"})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
