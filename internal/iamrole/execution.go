package iamrole

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Execution is the execution role of a task: what ECS needs to start exactly these containers.
func Execution(s ExecutionSpec) (Role, error) {
	role, err := s.Settings.role(s.Home, s.Family, suffixExecution, mesh.RolePath)
	if err != nil {
		return Role{}, err
	}
	statements := slices.Concat(
		secretStatements(s.Home, s.Containers),
		keyStatements(s.KMSKeyARNs),
		fileStatements(s.Containers),
		imageStatements(s.Home, s.Containers),
		logStatements(s.Home, s.Containers),
	)
	return role.inline(policyExecution, statements)
}

// secretStatements grants the secrets and parameters that containers, log drivers and registries refer to.
func secretStatements(home Home, containers []ecstypes.ContainerDefinition) []statement {
	secrets, parameters := map[string]bool{}, map[string]bool{}
	for _, reference := range references(containers) {
		if arn, ok := secretARN(reference); ok {
			secrets[arn] = true
		} else {
			parameters[parameterARN(home, reference)] = true
		}
	}
	var statements []statement
	if len(secrets) > 0 {
		statements = append(statements, allow("ReadSecrets", []string{"secretsmanager:GetSecretValue"}, slices.Sorted(maps.Keys(secrets))))
	}
	if len(parameters) > 0 {
		statements = append(statements, allow("ReadParameters", []string{"ssm:GetParameters"}, slices.Sorted(maps.Keys(parameters))))
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

// fileStatements grants the environment files, which lie in S3 under arn:partition:s3:::bucket/key.
func fileStatements(containers []ecstypes.ContainerDefinition) []statement {
	var files, buckets []string
	for _, c := range containers {
		for _, f := range c.EnvironmentFiles {
			bucket, _, _ := strings.Cut(aws.ToString(f.Value), "/")
			files, buckets = append(files, aws.ToString(f.Value)), append(buckets, bucket)
		}
	}
	if len(files) == 0 {
		return nil
	}
	return []statement{
		allow("ReadEnvironmentFiles", []string{"s3:GetObject"}, distinct(files)),
		allow("FindEnvironmentFiles", []string{"s3:GetBucketLocation"}, distinct(buckets)),
	}
}

// ecrImage matches the image of a private registry: account, Region, repository.
var ecrImage = regexp.MustCompile(`^(\d{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws|on\.amazonwebservices\.com\.cn)/([^:@]+)`)

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
