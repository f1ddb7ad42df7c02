package taskdef

import (
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// arnKind is what an ARN has to name. The ARNs of Secrets Manager secrets that have an attribute of their own are checked by
// the schema.
type arnKind struct {
	what  string // with the form of such an ARN, for people
	valid *regexp.Regexp
}

var (
	roleARN = arnKind{"the ARN of an IAM role: arn:<partition>:iam::<account>:role/<name>",
		regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:role/\S+$`)}
	fileARN = arnKind{"the ARN of an S3 object: arn:<partition>:s3:::<bucket>/<key>",
		regexp.MustCompile(`^arn:aws[a-z-]*:s3:::[^/\s]+/.+$`)}
	pullSecretARN = arnKind{"the ARN of a Secrets Manager secret: arn:<partition>:secretsmanager:<region>:<account>:secret:<name>",
		regexp.MustCompile(`^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:\S+$`)}
	specARN = arnKind{"the ARN of an S3 object or of an SSM parameter",
		regexp.MustCompile(`^arn:aws[a-z-]*:(s3:::[^/\s]+/.+|ssm:[a-z0-9-]+:\d{12}:parameter/\S+)$`)}
	s3FilesARN = arnKind{"the ARN of an S3 Files file system: arn:<partition>:s3files:<region>:<account>:file-system/<id>",
		regexp.MustCompile(`^arn:aws[a-z-]*:s3files:[a-z0-9-]+:\d{12}:file-system/[^/\s]+$`)}
	s3AccessPointARN = arnKind{"the ARN of an access point of S3 Files: arn:<partition>:s3files:<region>:<account>:file-system/<id>/access-point/<id>",
		regexp.MustCompile(`^arn:aws[a-z-]*:s3files:[a-z0-9-]+:\d{12}:(file-system/[^/\s]+/)?access-point/\S+$`)}
	// secretARN is also the reference to a part of a secret: its JSON key, version stage and version ID follow the name.
	secretARN = arnKind{"the ARN of a Secrets Manager secret or of an SSM parameter, or the name of a parameter",
		regexp.MustCompile(`^arn:aws[a-z-]*:(secretsmanager:[a-z0-9-]+:\d{12}:secret:|ssm:[a-z0-9-]+:\d{12}:parameter/)\S+$`)}
)

func (k arnKind) check(text string, path problem.Path, found *problem.List) {
	if text != "" && !k.valid.MatchString(text) {
		found.Add(path, "is %q, want %s", text, k.what)
	}
}

var validParameterName = regexp.MustCompile(`^[A-Za-z0-9_./:-]+$`)

// checkReference checks where ECS is to find a secret.
func checkReference(from string, path problem.Path, found *problem.List) {
	isName := !strings.HasPrefix(from, "arn:") && validParameterName.MatchString(from)
	switch {
	case from == "":
		found.Add(path, "is empty, want %s", secretARN.what)
	case !isName && !secretARN.valid.MatchString(from):
		found.Add(path, "is %q, want %s", from, secretARN.what)
	}
}

// checkFiles checks the files that a container's environment is read from.
func checkFiles(d ecstypes.ContainerDefinition, path problem.Path, found *problem.List) {
	for i, file := range d.EnvironmentFiles {
		at := path.Child("environmentFiles", i, "value")
		if aws.ToString(file.Value) == "" {
			found.Add(at, "is empty, want %s", fileARN.what)
		}
		fileARN.check(aws.ToString(file.Value), at, found)
	}
}
