package taskdef

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// FuzzARN wants AWS's own reading to take what ours takes, with every part that is needed.
func FuzzARN(f *testing.F) {
	for _, text := range []string{
		"arn:aws:iam::123456789012:role/path/web", "arn:aws-us-gov:secretsmanager:us-gov-east-1:123456789012:secret:a-b:key::", "arn:aws:s3:::bucket/key",
		"arn:aws-cn:ecs:cn-north-1:123456789012:cluster/a", "arn:aws", "arn:awsome:iam::123456789012:", "arn:aws:iam::1:x", "role/web", "",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []arnKind{roleARN, fileARN, secretARN} {
			if !kind.valid.MatchString(text) {
				continue
			}
			parsed, err := arn.Parse(text)
			if err != nil || parsed.Partition == "" || parsed.Service == "" || parsed.Resource == "" || parsed.String() != text {
				t.Errorf("%q is read as %+v, %v", text, parsed, err)
			}
		}
	})
}
