package roles

import "testing"

func TestParseReference(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:a/b-AbCdEf"
	cases := map[string]struct {
		from string
		want reference
		bad  bool
	}{
		"whole":         {arn, reference{arn: arn}, false},
		"key":           {arn + ":k::", reference{arn: arn, jsonKey: "k"}, false},
		"version stage": {arn + "::AWSPREVIOUS:", reference{arn: arn, versionStage: "AWSPREVIOUS"}, false},
		"version":       {arn + ":k::42", reference{arn: arn, jsonKey: "k", version: "42"}, false},
		"name":          {"a/b", reference{}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(c.from)
			if got != c.want || (err != nil) != c.bad {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestPick(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		key, secret, want string
		bad               bool
	}{
		"no key":          {"", "a:b", "a:b", false},
		"text":            {"k", `{"k":"v"}`, "v", false},
		"number":          {"k", `{"k":1.50}`, "1.50", false},
		"object":          {"k", `{"k":{"a":1}}`, `{"a":1}`, false},
		"missing key":     {"x", `{"k":"v"}`, "", true},
		"not an object":   {"k", `["v"]`, "", true},
		"not JSON at all": {"k", "v", "", true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := reference{arn: "arn", jsonKey: c.key}.pick(c.secret)
			if got != c.want || (err != nil) != c.bad {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}
