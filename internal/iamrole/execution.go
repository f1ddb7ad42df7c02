package iamrole

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Execution is the execution role of a task: what ECS needs to start exactly these containers. A policy that would be too
// long for IAM names each secret once instead of twice. IAM counts all inline policies of a role together, so more of them are
// no way out; nor are patterns for whole folders of secrets, which would grant what nobody asked for.
func Execution(s ExecutionSpec) (Role, error) {
	role, err := s.Settings.role(s.Home, s.Family, suffixExecution, mesh.RolePath)
	if err != nil {
		return Role{}, err
	}
	secrets, parameters := sources(s.Home, s.Containers)
	statements := func(secretResources []string) []statement {
		return slices.Concat(
			secretStatements(secretResources, parameters),
			keyStatements(s.KMSKeyARNs),
			fileStatements(s.Containers),
			imageStatements(s.Home, s.Containers),
			logStatements(s.Home, s.Containers),
		)
	}
	if made, err := role.inline(policyExecution, statements(either(secrets))); err == nil {
		return made, nil
	}
	made, err := role.inline(policyExecution, statements(brief(secrets)))
	if err != nil {
		return Role{}, fmt.Errorf("%w: it names %d secrets and %d parameters\nhint: keep several values in one secret, whose JSON keys references name (arn:…:secret:<name>:<key>::), or give the task an execution role of your own",
			err, len(secrets), len(parameters))
	}
	return made, nil
}

// sources are the ARNs of the secrets and parameters that containers, log drivers and registries refer to.
func sources(home Home, containers []ecstypes.ContainerDefinition) (secrets, parameters []string) {
	for _, reference := range references(containers) {
		if arn, ok := secretARN(reference); ok {
			secrets = append(secrets, arn)
		} else {
			parameters = append(parameters, parameterARN(home, reference))
		}
	}
	for _, spec := range credentialSpecs(containers) {
		if !strings.Contains(spec, ":s3:") {
			parameters = append(parameters, spec)
		}
	}
	return distinct(secrets), distinct(parameters)
}

// anySuffix stands for what Secrets Manager adds to the name of a secret in its ARN: a '-' and six characters.
const anySuffix = "-??????"

// either grants each secret by the ARN as it stands and by the one that it may be the beginning of: ECS takes an ARN without
// the suffix, too, and a name may look as if it had one.
func either(secrets []string) []string {
	var all []string
	for _, arn := range secrets {
		all = append(all, arn, arn+anySuffix)
	}
	return all
}

var looksComplete = regexp.MustCompile(`-[A-Za-z0-9]{6}$`)

// brief grants the same with one resource for each secret. One whose ARN cannot be whole has the suffix added; another is
// granted with whatever follows, which with six characters more than the name is hardly anything else.
func brief(secrets []string) []string {
	var all []string
	for _, arn := range secrets {
		if looksComplete.MatchString(arn) {
			all = append(all, arn+"*")
		} else {
			all = append(all, arn+anySuffix)
		}
	}
	return all
}

func secretStatements(secrets, parameters []string) []statement {
	var statements []statement
	if len(secrets) > 0 {
		statements = append(statements, allow("ReadSecrets", []string{"secretsmanager:GetSecretValue"}, secrets))
	}
	if len(parameters) > 0 {
		statements = append(statements, allow("ReadParameters", []string{"ssm:GetParameters"}, parameters))
	}
	return statements
}

// references are the places where the containers' secrets lie, as ECS takes them.
func references(containers []ecstypes.ContainerDefinition) []string {
	var found []string
	add := func(secrets []ecstypes.Secret) {
		for _, s := range secrets {
			if from := aws.ToString(s.ValueFrom); from != "" {
				found = append(found, from)
			}
		}
	}
	for _, c := range containers {
		add(c.Secrets)
		if c.LogConfiguration != nil {
			add(c.LogConfiguration.SecretOptions)
		}
		if c.RepositoryCredentials != nil {
			add([]ecstypes.Secret{{ValueFrom: c.RepositoryCredentials.CredentialsParameter}})
		}
	}
	return found
}

// secretARN is the ARN of the secret that a reference names: what follows the name (JSON key, version stage, version ID) is
// no part of it.
func secretARN(reference string) (arn string, ok bool) {
	const parts = 7 // arn:partition:secretsmanager:region:account:secret:name
	fields := strings.Split(reference, ":")
	if len(fields) < parts || fields[0] != "arn" || fields[2] != "secretsmanager" || fields[parts-1] == "" {
		return "", false
	}
	return strings.Join(fields[:parts], ":"), true
}

// parameterARN is the ARN of an SSM parameter, which ECS also takes by its bare name.
func parameterARN(home Home, reference string) string {
	if strings.HasPrefix(reference, "arn:") {
		return reference
	}
	return fmt.Sprintf("arn:%s:ssm:%s:%s:parameter/%s", home.Partition, home.Region, home.Account, strings.TrimPrefix(reference, "/"))
}

func keyStatements(keyARNs []string) []statement {
	if len(keyARNs) == 0 {
		return nil
	}
	return []statement{allow("DecryptSecrets", []string{"kms:Decrypt"}, distinct(keyARNs))}
}

// credentialSpecs are the ARNs of the files by which containers are known to an Active Directory.
func credentialSpecs(containers []ecstypes.ContainerDefinition) []string {
	var arns []string
	for _, c := range containers {
		for _, spec := range c.CredentialSpecs {
			if _, arn, ok := strings.Cut(spec, ":"); ok { // credentialspec:arn:…
				arns = append(arns, arn)
			}
		}
	}
	return arns
}

// fileStatements grants the files that ECS fetches from S3, where they lie under arn:partition:s3:::bucket/key: environments,
// the configuration of log routers, and credential specs.
func fileStatements(containers []ecstypes.ContainerDefinition) []statement {
	var files, buckets []string
	add := func(file string) {
		bucket, _, _ := strings.Cut(file, "/")
		files, buckets = append(files, file), append(buckets, bucket)
	}
	for _, c := range containers {
		for _, f := range c.EnvironmentFiles {
			add(aws.ToString(f.Value))
		}
		if r := c.FirelensConfiguration; r != nil && r.Options["config-file-type"] == "s3" {
			add(r.Options["config-file-value"])
		}
	}
	for _, spec := range credentialSpecs(containers) {
		if strings.Contains(spec, ":s3:") {
			add(spec)
		}
	}
	if len(files) == 0 {
		return nil
	}
	return []statement{
		allow("ReadFiles", []string{"s3:GetObject"}, distinct(files)),
		allow("FindFiles", []string{"s3:GetBucketLocation"}, distinct(buckets)),
	}
}

// ecrImage matches the image of a private registry: account, Region, repository. Each AWS partition has a domain of its own, and those
// that IPv6 reaches, too, have another.
var ecrImage = regexp.MustCompile(`^(\d{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu|on\.aws|on\.amazonwebservices\.(?:com\.cn|eu)|c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)/([^:@]+)`)

// imageStatements grants the repositories of the images. Each may belong to a pull-through cache, which neither its name nor
// the image's tells: ECR then wants whoever pulls to be allowed to import the image and, at first, to create the repository.
// Both are granted on the repository alone. Where no rule of a cache applies there is nothing to import, and the repository
// that is pulled from is there already.
func imageStatements(home Home, containers []ecstypes.ContainerDefinition) []statement {
	var repositories []string
	for _, c := range containers {
		if m := ecrImage.FindStringSubmatch(aws.ToString(c.Image)); m != nil {
			repositories = append(repositories, fmt.Sprintf("arn:%s:ecr:%s:%s:repository/%s", home.Partition, m[2], m[1], m[3]))
		}
	}
	if len(repositories) == 0 {
		return nil
	}
	return []statement{
		allow("EnterRegistries", []string{"ecr:GetAuthorizationToken"}, []string{"*"}), // has no resource
		allow("PullImages", []string{"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}, distinct(repositories)),
		allow("FillCaches", []string{"ecr:BatchImportUpstreamImage", "ecr:CreateRepository"}, distinct(repositories)),
	}
}

// logStatements grants the log groups that the containers write to through awslogs. A group in another Region is that
// Region's; one that is to be created on the way needs one action more.
func logStatements(home Home, containers []ecstypes.ContainerDefinition) []statement {
	var streams, creates []string
	for _, c := range containers {
		if c.LogConfiguration == nil || c.LogConfiguration.LogDriver != ecstypes.LogDriverAwslogs {
			continue
		}
		options := c.LogConfiguration.Options
		region := home.Region
		if r := options["awslogs-region"]; r != "" {
			region = r
		}
		group := options["awslogs-group"]
		if group == "" {
			group = "*"
		}
		arn := fmt.Sprintf("arn:%s:logs:%s:%s:log-group:%s", home.Partition, region, home.Account, group)
		streams = append(streams, arn+":*")
		if options["awslogs-create-group"] == "true" {
			creates = append(creates, arn+":*")
		}
	}
	var statements []statement
	if len(streams) > 0 {
		statements = append(statements, allow("WriteLogs", []string{"logs:CreateLogStream", "logs:PutLogEvents"}, distinct(streams)))
	}
	if len(creates) > 0 {
		statements = append(statements, allow("CreateLogGroups", []string{"logs:CreateLogGroup"}, distinct(creates)))
	}
	return statements
}

func distinct(values []string) []string { return slices.Compact(slices.Sorted(slices.Values(values))) }
