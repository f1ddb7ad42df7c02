package row

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// ValidFamily is ECS's rule for the names of families and services; familyRule says it.
var ValidFamily = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

const FamilyRule = "must be 1 to 255 letters, digits, '-' and '_'"

var (
	validRolePath       = regexp.MustCompile(`^/([\x21-\x7e]{0,510}/)?$`)
	validRoleName       = regexp.MustCompile(`^[A-Za-z0-9+=,.@_-]{1,64}$`)
	validRoleNamePrefix = regexp.MustCompile(`^[A-Za-z0-9+=,.@_-]{0,32}$`)
	validPolicyARN      = regexp.MustCompile(`^arn:[a-z-]+:iam::(aws|\d{12}):policy/\S+$`)
)

func RolePath() validator.String {
	return stringvalidator.RegexMatches(validRolePath, "must begin and end with '/'")
}

func RoleName() validator.String {
	return stringvalidator.RegexMatches(validRoleName, "must be 1 to 64 letters, digits and +=,.@_-")
}

func RoleNamePrefix() validator.String {
	return stringvalidator.RegexMatches(validRoleNamePrefix, "must be up to 32 letters, digits and +=,.@_-")
}

func PolicyARN() validator.String {
	return stringvalidator.RegexMatches(validPolicyARN, "must be the ARN of an IAM policy: arn:<partition>:iam::<account>:policy/<name>")
}

var validRoleARN = regexp.MustCompile(`^arn:[a-z-]+:iam::\d{12}:role/\S+$`)

func RoleARN() validator.String {
	return stringvalidator.RegexMatches(validRoleARN, "must be the ARN of an IAM role: arn:<partition>:iam::<account>:role/<name>")
}

var validSecretARN = regexp.MustCompile(`^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:\S+$`)

func SecretARN() validator.String {
	return stringvalidator.RegexMatches(validSecretARN, "must be the ARN of a Secrets Manager secret: arn:<partition>:secretsmanager:<region>:<account>:secret:<name>")
}

var validWholeSecretARN = regexp.MustCompile(`^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:[^\s:]+$`)

// WholeSecretARN admits no part of a secret: who reads it himself names the secret alone.
func WholeSecretARN() validator.String {
	return stringvalidator.RegexMatches(validWholeSecretARN, "must be the ARN of a Secrets Manager secret, without a JSON key: arn:<partition>:secretsmanager:<region>:<account>:secret:<name>")
}

var validKMSKeyARN = regexp.MustCompile(`^arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/\S+$`)

func KMSKeyARN() validator.String {
	return stringvalidator.RegexMatches(validKMSKeyARN, "must be the ARN of a KMS key: arn:<partition>:kms:<region>:<account>:key/<id>")
}

// Duration admits Go's durations of at least zero.
type Duration struct{}

func (Duration) Description(context.Context) string { return "a duration such as 10s or 1m30s" }

func (d Duration) MarkdownDescription(ctx context.Context) string { return d.Description(ctx) }

func (d Duration) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if parsed, err := time.ParseDuration(req.ConfigValue.ValueString()); err != nil || parsed < 0 {
		resp.Diagnostics.AddAttributeError(req.Path, "Not a duration",
			fmt.Sprintf("%s is %q, want %s.", req.Path, req.ConfigValue.ValueString(), d.Description(ctx)))
	}
}

// Requires names the attributes without which a block means nothing.
type Requires []string

func (r Requires) Description(context.Context) string {
	return "sets " + strings.Join(r, ", ")
}

func (r Requires) MarkdownDescription(ctx context.Context) string { return r.Description(ctx) }

func (r Requires) ValidateObject(_ context.Context, req validator.ObjectRequest, resp *validator.ObjectResponse) {
	for _, name := range r {
		if value, ok := req.ConfigValue.Attributes()[name]; ok && value.IsNull() {
			resp.Diagnostics.AddAttributeError(req.Path, "Missing "+name, fmt.Sprintf("%s is missing: set it, or leave the whole block out.", req.Path.AtName(name)))
		}
	}
}

// noNulls refuses values that are null, which would be left out without a word.
type noNulls struct{}

func (noNulls) Description(context.Context) string { return "has no null" }

func (n noNulls) MarkdownDescription(ctx context.Context) string { return n.Description(ctx) }

func (noNulls) ValidateList(_ context.Context, req validator.ListRequest, resp *validator.ListResponse) {
	for i, v := range req.ConfigValue.Elements() {
		if v.IsNull() {
			at := req.Path.AtListIndex(i)
			resp.Diagnostics.AddAttributeError(at, "Null value", fmt.Sprintf("%s is null: give it a value, or leave it out.", at))
		}
	}
}

func (noNulls) ValidateSet(_ context.Context, req validator.SetRequest, resp *validator.SetResponse) {
	if slices.ContainsFunc(req.ConfigValue.Elements(), attr.Value.IsNull) {
		resp.Diagnostics.AddAttributeError(req.Path, "Null value", fmt.Sprintf("An element of %s is null: give it a value, or leave it out.", req.Path))
	}
}

func (noNulls) ValidateMap(_ context.Context, req validator.MapRequest, resp *validator.MapResponse) {
	values := req.ConfigValue.Elements()
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if values[key].IsNull() {
			at := req.Path.AtMapKey(key)
			resp.Diagnostics.AddAttributeError(req.Path, "Null value", fmt.Sprintf("%s is null: give it a value, or leave the key out.", at))
		}
	}
}

// notZero refuses the 0 that would silently mean the default.
type notZero struct{}

func (notZero) Description(context.Context) string { return "a number other than 0" }

func (n notZero) MarkdownDescription(ctx context.Context) string { return n.Description(ctx) }

func (n notZero) ValidateInt32(ctx context.Context, req validator.Int32Request, resp *validator.Int32Response) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() || req.ConfigValue.ValueInt32() != 0 {
		return
	}
	resp.Diagnostics.AddAttributeError(req.Path, "Not a value", fmt.Sprintf("%s is 0, want %s. Leave it out to get the default.", req.Path, n.Description(ctx)))
}

// JsonObject admits the text of one JSON object.
type JsonObject struct{}

func (JsonObject) Description(context.Context) string {
	return "a JSON object, as jsonencode({…}) makes it"
}

func (j JsonObject) MarkdownDescription(ctx context.Context) string { return j.Description(ctx) }

func (j JsonObject) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	var parsed map[string]any
	err := json.Unmarshal([]byte(req.ConfigValue.ValueString()), &parsed)
	if err == nil && parsed == nil { // what null is read into
		err = errors.New("it is null")
	}
	if err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Not a JSON object",
			fmt.Sprintf("%s is not %s: %v.", req.Path, j.Description(ctx), err))
	}
}

// EndpointURL admits absolute HTTP URLs.
type EndpointURL struct{}

func (EndpointURL) Description(context.Context) string {
	return "a URL such as https://sts.example.com"
}

func (e EndpointURL) MarkdownDescription(ctx context.Context) string { return e.Description(ctx) }

func (e EndpointURL) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	u, err := url.Parse(req.ConfigValue.ValueString())
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		resp.Diagnostics.AddAttributeError(req.Path, "Not a URL",
			fmt.Sprintf("%s is %q, want %s.", req.Path, req.ConfigValue.ValueString(), e.Description(ctx)))
	}
}
