// Package roles acts with a task's roles at the AWS emulator: credentials by AssumeRole, and the secrets that the
// execution role reads for the containers.
package roles

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
)

// timeout bounds one exchange with the emulator, the SDK's retries included.
const timeout = 20 * time.Second

// Emulator is where STS and Secrets Manager are.
type Emulator struct{ URL, Region string }

// Role is a role that one task has assumed. Its credentials are kept until five minutes before they expire.
type Role struct {
	ARN      string
	emulator Emulator
	cache    *aws.CredentialsCache
}

// Assume prepares a role for a session, which ECS names after the task's ID. Nothing is asked of the emulator yet.
func (e Emulator) Assume(roleARN, session string) *Role {
	account := "000000000000"
	if parts := strings.Split(roleARN, ":"); len(parts) > 4 {
		account = parts[4]
	}
	client := sts.New(sts.Options{
		Region:       e.Region,
		BaseEndpoint: &e.URL,
		Credentials:  credentials.NewStaticCredentialsProvider(account, "localecs", ""), // emulators read the account out of the key ID
	})
	assume := func(ctx context.Context) (aws.Credentials, error) {
		out, err := client.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: &roleARN, RoleSessionName: &session})
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
	cache := aws.NewCredentialsCache(aws.CredentialsProviderFunc(assume), func(o *aws.CredentialsCacheOptions) {
		o.ExpiryWindow = 5 * time.Minute
	})
	return &Role{ARN: roleARN, emulator: e, cache: cache}
}

// Credentials returns the role's credentials.
func (r *Role) Credentials(ctx context.Context) (aws.Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return r.cache.Retrieve(ctx)
}

// Secrets reads what the given references (valueFrom) stand for, each secret once. Errors name the secret, never its value.
func (r *Role) Secrets(ctx context.Context, valueFroms []string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	whole := map[reference]string{} // without the key: several keys of one secret are one read
	values := map[string]string{}
	for _, from := range valueFroms {
		ref, err := parse(from)
		if err != nil {
			return nil, err
		}
		secret := reference{arn: ref.arn, versionStage: ref.versionStage, version: ref.version}
		if _, ok := whole[secret]; !ok {
			if whole[secret], err = r.read(ctx, secret); err != nil {
				return nil, err
			}
		}
		if values[from], err = ref.pick(whole[secret]); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func (r *Role) read(ctx context.Context, ref reference) (string, error) {
	in := &secretsmanager.GetSecretValueInput{SecretId: &ref.arn}
	if ref.versionStage != "" {
		in.VersionStage = &ref.versionStage
	}
	if ref.version != "" {
		in.VersionId = &ref.version
	}
	region := strings.Split(ref.arn, ":")[3]
	client := secretsmanager.New(secretsmanager.Options{Region: region, BaseEndpoint: &r.emulator.URL, Credentials: r.cache})
	out, err := client.GetSecretValue(ctx, in)
	if err != nil {
		return "", fmt.Errorf("read secret %s: %w", ref.arn, err)
	}
	if out.SecretString == nil {
		return string(out.SecretBinary), nil
	}
	return *out.SecretString, nil
}

// reference is a valueFrom: arn:…:secret:name[:json-key:version-stage:version-id].
type reference struct{ arn, jsonKey, versionStage, version string }

func parse(valueFrom string) (reference, error) {
	parts := strings.Split(valueFrom, ":")
	if len(parts) < 7 || parts[0] != "arn" || parts[2] != "secretsmanager" || parts[5] != "secret" {
		return reference{}, fmt.Errorf("secret %s is not a Secrets Manager ARN, the only kind the local ECS reads", valueFrom)
	}
	parts = append(parts, "", "", "")
	return reference{arn: strings.Join(parts[:7], ":"), jsonKey: parts[7], versionStage: parts[8], version: parts[9]}, nil
}

// pick returns the value, or its member where the reference names one.
func (ref reference) pick(value string) (string, error) {
	if ref.jsonKey == "" {
		return value, nil
	}
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(value), &object) != nil {
		return "", fmt.Errorf("read key %s of secret %s: the secret is not a JSON object", ref.jsonKey, ref.arn)
	}
	raw, ok := object[ref.jsonKey]
	if !ok {
		return "", fmt.Errorf("read key %s of secret %s: no such key", ref.jsonKey, ref.arn)
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	return string(raw), nil
}
