package incumbent

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// Roles are the ARNs of a task's roles and of the managed policies that are attached to them.
type Roles struct{ TaskRole, TaskPolicy, ExecutionRole, ExecutionPolicy string }

// trust is the module's trust policy of all roles: it has no conditions.
const trust = `{"Version":"2012-10-17","Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Sid":""}]}`

// MakeRoles makes the roles of the module mesh-task with ACLs and TLS on.
func (m Task) MakeRoles(ctx context.Context, client *iam.Client) (made Roles, err error) {
	tags := map[string]string{"consul.hashicorp.com.service-name": m.service(), "consul.hashicorp.com.namespace": ""}
	if made.TaskRole, err = makeRole(ctx, client, m.Family+"-task", Path, tags); err != nil {
		return made, err
	}
	if made.TaskPolicy, err = attach(ctx, client, m.Family+"-task", Path, statement("iam:GetRole", made.TaskRole)); err != nil {
		return made, err
	}
	if made.ExecutionRole, err = makeRole(ctx, client, m.Family+"-execution", Path, nil); err != nil {
		return made, err
	}
	made.ExecutionPolicy, err = attach(ctx, client, m.Family+"-execution", Path, m.Servers.secretStatement(), logsStatement())
	return made, err
}

// MakeRoles makes the roles of the module controller.
func (c Controller) MakeRoles(ctx context.Context, client *iam.Client) (made Roles, err error) {
	if made.TaskRole, err = makeRole(ctx, client, c.family()+"-task", "/", nil); err != nil {
		return made, err
	}
	exec := policy(object{
		"Effect": "Allow", "Resource": "*",
		"Action": []string{"ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel", "ecs:ListTasks", "ecs:DescribeTasks"},
	})
	_, err = client.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String(c.family() + "-task"), PolicyName: aws.String("exec"), PolicyDocument: &exec})
	if err != nil {
		return made, fmt.Errorf("put policy exec of role %s-task: %w", c.family(), err)
	}
	const path = "/ecs/"
	if made.ExecutionRole, err = makeRole(ctx, client, c.family()+"-execution", path, nil); err != nil {
		return made, err
	}
	made.ExecutionPolicy, err = attach(ctx, client, c.family()+"-execution", path,
		statement("secretsmanager:GetSecretValue", c.TokenSecretARN), c.Servers.secretStatement(), logsStatement())
	return made, err
}

func makeRole(ctx context.Context, client *iam.Client, name, path string, tags map[string]string) (arn string, err error) {
	input := &iam.CreateRoleInput{RoleName: &name, Path: &path, AssumeRolePolicyDocument: aws.String(trust)}
	for key, value := range tags {
		input.Tags = append(input.Tags, iamtypes.Tag{Key: &key, Value: &value})
	}
	made, err := client.CreateRole(ctx, input)
	if err != nil {
		return "", fmt.Errorf("create role %s: %w", name, err)
	}
	return aws.ToString(made.Role.Arn), nil
}

// attach makes a managed policy of a role's name and attaches it to the role.
func attach(ctx context.Context, client *iam.Client, name, path string, statements ...object) (arn string, err error) {
	made, err := client.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: &name, Path: &path, PolicyDocument: aws.String(policy(statements...))})
	if err != nil {
		return "", fmt.Errorf("create policy %s: %w", name, err)
	}
	arn = aws.ToString(made.Policy.Arn)
	if _, err := client.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: &name, PolicyArn: &arn}); err != nil {
		return "", fmt.Errorf("attach policy %s to role %s: %w", arn, name, err)
	}
	return arn, nil
}

func policy(statements ...object) string {
	return text(object{"Version": "2012-10-17", "Statement": statements})
}

func statement(action, resource string) object {
	return object{"Effect": "Allow", "Action": []string{action}, "Resource": []string{resource}}
}

func (s Servers) secretStatement() object {
	return statement("secretsmanager:GetSecretValue", s.CASecretARN)
}

func logsStatement() object {
	return object{"Effect": "Allow", "Action": []string{"logs:CreateLogStream", "logs:PutLogEvents"}, "Resource": "*"}
}
