package iamrole

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// FuzzSecretARN wants the ARN of a secret to be one, whatever is behind it in a reference.
func FuzzSecretARN(f *testing.F) {
	const secret = "arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:token-AbCdEf"
	for _, reference := range []string{secret, secret + ":key::", secret + ":key:AWSCURRENT:", "secretsmanager", "::secretsmanager::::", "a:b:secretsmanager:c:d:e:", "arn:aws:ssm:r:1:parameter/a", "/a/b", ""} {
		f.Add(reference)
	}
	f.Fuzz(func(t *testing.T, reference string) {
		text, ok := secretARN(reference)
		if !ok {
			return
		}
		parsed, err := arn.Parse(text)
		if err != nil || parsed.Service != "secretsmanager" {
			t.Fatalf("%q names the secret %q: %v", reference, text, err)
		}
		if again, ok := secretARN(text); !ok || again != text {
			t.Errorf("%q is read as %q", text, again)
		}
	})
}
