package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/metadata"
)

// emulatorTimeout bounds one exchange with the emulator, retries included.
const emulatorTimeout = 20 * time.Second

// assumer returns credentials of a role for one task: the session has the task's ID, as on ECS. They are kept until
// five minutes before they expire.
func (e *Engine) assumer(roleARN, taskARN string) *aws.CredentialsCache {
	account := "000000000000"
	if parts := strings.Split(roleARN, ":"); len(parts) > 4 {
		account = parts[4]
	}
	client := sts.New(sts.Options{
		Region:       e.cfg.Region,
		BaseEndpoint: &e.cfg.EmulatorURL,
		Credentials:  credentials.NewStaticCredentialsProvider(account, "localecs", ""), // emulators read the account out of the key ID
	})
	assume := func(ctx context.Context) (aws.Credentials, error) {
		out, err := client.AssumeRole(ctx, &sts.AssumeRoleInput{
			RoleArn:         aws.String(roleARN),
			RoleSessionName: aws.String(taskID(taskARN)),
		})
		if err != nil {
			return aws.Credentials{}, fmt.Errorf("assume role %s: %w", roleARN, err)
		}
		return aws.Credentials{
			AccessKeyID:     aws.ToString(out.Credentials.AccessKeyId),
			SecretAccessKey: aws.ToString(out.Credentials.SecretAccessKey),
			SessionToken:    aws.ToString(out.Credentials.SessionToken),
			CanExpire:       true,
			Expires:         aws.ToTime(out.Credentials.Expiration),
		}, nil
	}
	return aws.NewCredentialsCache(aws.CredentialsProviderFunc(assume), func(o *aws.CredentialsCacheOptions) {
		o.ExpiryWindow = 5 * time.Minute
	})
}

// credentials answers the credentials endpoint.
func (e *Engine) credentials(ctx context.Context, id string) (metadata.Credentials, error) {
	r := e.runByCredentials(id)
	if r == nil {
		return metadata.Credentials{}, metadata.ErrUnknown
	}
	ctx, cancel := context.WithTimeout(ctx, emulatorTimeout)
	defer cancel()
	c, err := r.taskRole.Retrieve(ctx)
	if err != nil {
		return metadata.Credentials{}, err
	}
	return metadata.Credentials{
		RoleArn:         r.state.task.TaskRoleARN, // set once, before the task's ID was known to anyone
		AccessKeyID:     c.AccessKeyID,
		SecretAccessKey: c.SecretAccessKey,
		Token:           c.SessionToken,
		Expiration:      c.Expires.UTC(),
	}, nil
}

// secrets reads the secrets of every container, as NAME=value by container. Errors name the secret, never its value.
func (r *taskRun) secrets(ctx context.Context) (map[string][]string, error) {
	var executionRole *aws.CredentialsCache
	all := map[string][]string{}
	values := map[string]string{} // by ARN: several keys of one secret are one read
	for _, m := range r.state.members {
		for _, s := range m.def.Secrets {
			if executionRole == nil {
				if r.state.task.ExecutionRoleARN == "" {
					return nil, fmt.Errorf("the task has secrets and no execution role")
				}
				executionRole = r.e.assumer(r.state.task.ExecutionRoleARN, r.state.task.ARN)
			}
			ref, err := parseSecret(aws.ToString(s.ValueFrom))
			if err != nil {
				return nil, err
			}
			value, ok := values[ref.id()]
			if !ok {
				if value, err = r.e.readSecret(ctx, ref, executionRole); err != nil {
					return nil, err
				}
				values[ref.id()] = value
			}
			if value, err = ref.pick(value); err != nil {
				return nil, err
			}
			all[m.name()] = append(all[m.name()], aws.ToString(s.Name)+"="+value)
		}
	}
	return all, nil
}

func (e *Engine) readSecret(ctx context.Context, ref secretRef, role aws.CredentialsProvider) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, emulatorTimeout)
	defer cancel()
	in := &secretsmanager.GetSecretValueInput{SecretId: &ref.arn}
	if ref.stage != "" {
		in.VersionStage = &ref.stage
	}
	if ref.version != "" {
		in.VersionId = &ref.version
	}
	client := secretsmanager.New(secretsmanager.Options{Region: arnRegion(ref.arn), BaseEndpoint: &e.cfg.EmulatorURL, Credentials: role})
	out, err := client.GetSecretValue(ctx, in)
	if err != nil {
		return "", fmt.Errorf("read secret %s: %w", ref.arn, err)
	}
	if out.SecretString == nil {
		return string(out.SecretBinary), nil
	}
	return *out.SecretString, nil
}

// secretRef is a valueFrom: arn:…:secret:name[:json-key:version-stage:version-id].
type secretRef struct{ arn, jsonKey, stage, version string }

func parseSecret(valueFrom string) (secretRef, error) {
	parts := strings.Split(valueFrom, ":")
	if len(parts) < 7 || parts[0] != "arn" || parts[2] != "secretsmanager" || parts[5] != "secret" {
		return secretRef{}, fmt.Errorf("secret %s is not a Secrets Manager ARN, the only kind the local ECS reads", valueFrom)
	}
	parts = append(parts, "", "", "")
	return secretRef{arn: strings.Join(parts[:7], ":"), jsonKey: parts[7], stage: parts[8], version: parts[9]}, nil
}

func (s secretRef) id() string { return s.arn + " " + s.stage + " " + s.version }

// pick returns the value, or its member where the reference names one.
func (s secretRef) pick(value string) (string, error) {
	if s.jsonKey == "" {
		return value, nil
	}
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(value), &object) != nil {
		return "", fmt.Errorf("read key %s of secret %s: the secret is not a JSON object", s.jsonKey, s.arn)
	}
	raw, ok := object[s.jsonKey]
	if !ok {
		return "", fmt.Errorf("read key %s of secret %s: no such key", s.jsonKey, s.arn)
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	return string(raw), nil
}
