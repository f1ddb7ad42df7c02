package row

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// ValidFamily is ECS's rule for the names of families and services; familyRule says it.
var ValidFamily = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

const FamilyRule = "must be 1 to 255 letters, digits, '-' and '_'"

var (
	validRolePath  = regexp.MustCompile(`^/([\x21-\x7e]{0,510}/)?$`)
	validRoleName  = regexp.MustCompile(`^[A-Za-z0-9+=,.@_-]{1,64}$`)
	validPolicyARN = regexp.MustCompile(`^arn:[a-z-]+:iam::(aws|\d{12}):policy/\S+$`)
)

func RolePath() validator.String {
	return stringvalidator.RegexMatches(validRolePath, "must begin and end with '/'")
}

func RoleName() validator.String {
	return stringvalidator.RegexMatches(validRoleName, "must be 1 to 64 letters, digits and +=,.@_-")
}

func PolicyARN() validator.String {
	return stringvalidator.RegexMatches(validPolicyARN, "must be the ARN of an IAM policy: arn:<partition>:iam::<account>:policy/<name>")
}

var validSecretARN = regexp.MustCompile(`^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:\S+$`)

func SecretARN() validator.String {
	return stringvalidator.RegexMatches(validSecretARN, "must be the ARN of a Secrets Manager secret: arn:<partition>:secretsmanager:<region>:<account>:secret:<name>")
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
			fmt.Sprintf("%q is not %s.", req.ConfigValue.ValueString(), d.Description(ctx)))
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
	if err := json.Unmarshal([]byte(req.ConfigValue.ValueString()), &parsed); err != nil || parsed == nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Not a JSON object",
			fmt.Sprintf("The value is not %s: %v.", j.Description(ctx), err))
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
			fmt.Sprintf("%q is not %s.", req.ConfigValue.ValueString(), e.Description(ctx)))
	}
}
