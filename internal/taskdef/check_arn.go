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

// The two ways to name a credential spec: of a domain that the container instance is a member of, or of one that the file itself
// has the credentials for.
const (
	specOfInstance = "credentialspec:"
	specDomainless = "credentialspecdomainless:"
)

// checkCredentialSpecs wants one credential spec at most, by which a container is known to an Active Directory. On Fargate nobody
// joins an instance to a domain.
func checkCredentialSpecs(specs []string, task Task, path problem.Path, found *problem.List) {
	if len(specs) > 1 {
		found.Add(path, "has %d elements, want one at most", len(specs))
	}
	for i, spec := range specs {
		kind, arn, _ := strings.Cut(spec, ":")
		kind += ":"
		switch {
		case kind != specOfInstance && kind != specDomainless || !specARN.valid.MatchString(arn):
			found.Add(path.Child(i), "is %q, want %s or %s and %s", spec, specOfInstance, specDomainless, specARN.what)
		case kind == specOfInstance && task.runsOn(ecstypes.CompatibilityFargate):
			found.AddWith([]problem.Path{problem.At("task", "launchTypes")}, path.Child(i),
				"is %q, but on FARGATE there is no instance that is a member of the domain: use %s, and keep the credentials in a secret", spec, specDomainless)
		}
	}
}
