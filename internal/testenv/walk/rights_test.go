package walk

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
)

// rights are all that a call takes, as AWS's service authorization reference tells: its own action, those for tags that it sets, and
// PassRole of roles that it hands to ECS.
func (g *guard) rights(ctx context.Context, c call) ([]right, error) {
	switch c.service {
	case "sts":
		return nil, nil // GetCallerIdentity takes no right
	case "iam":
		return g.rightsOfIAM(ctx, c)
	case "ecs":
		return g.rightsOfECS(c), nil
	case "sqs":
		name := cmp.Or(c.text("QueueName"), c.text("QueueUrl")[strings.LastIndexByte(c.text("QueueUrl"), '/')+1:])
		return tagged(c, "tags", "TagQueue", g.arn("sqs", name)), nil
	case "events":
		name := cmp.Or(c.text("Name"), c.text("Rule"))
		return tagged(c, "Tags", "TagResource", cmp.Or(c.text("ResourceARN"), g.arn("events", "rule/"+name))), nil
	default:
		return nil, fmt.Errorf("the guard does not know the service %q", c.service)
	}
}

// arn is that of something in the world's account and Region.
func (g *guard) arn(service, name string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, g.world.Region, g.account, name)
}

// tagged are the rights of a call on one resource, whose tags have a right of their own.
func tagged(c call, key, tagging, resource string) []right {
	all := []right{{Action: c.service + ":" + c.action, Resource: resource}}
	if c.body[key] != nil && c.action != tagging {
		all = append(all, right{Action: c.service + ":" + tagging, Resource: resource})
	}
	return all
}

func (g *guard) rightsOfIAM(ctx context.Context, c call) ([]right, error) {
	name := c.form.Get("RoleName")
	resource := "*"
	if name != "" {
		resource = fmt.Sprintf("arn:aws:iam::%s:role%s%s", g.account, cmp.Or(c.form.Get("Path"), "/"), name)
		switch got, err := g.roles.GetRole(ctx, &iam.GetRoleInput{RoleName: &name}); {
		case err == nil:
			resource = *got.Role.Arn
		case !awsapi.IsNotFound(err):
			return nil, err
		case c.action != "CreateRole":
			resource = fmt.Sprintf("arn:aws:iam::%s:role/%s", g.account, name)
		}
	}
	all := []right{{Action: "iam:" + c.action, Resource: resource}}
	if c.action == "CreateRole" && c.form.Has("Tags.member.1.Key") {
		all = append(all, right{Action: "iam:TagRole", Resource: resource})
	}
	return all, nil
}

func (g *guard) rightsOfECS(c call) []right {
	ecsCluster := c.text("cluster")
	ecsCluster = ecsCluster[strings.LastIndexByte(ecsCluster, '/')+1:]
	var resources []string
	switch c.action {
	case "DescribeClusters":
		resources = g.named("cluster/", c.body["clusters"])
	case "DescribeTasks":
		resources = g.named("task/"+ecsCluster+"/", c.body["tasks"])
	case "DescribeServiceRevisions":
		arns, _ := c.body["serviceRevisionArns"].([]any)
		for _, arn := range arns {
			resources = append(resources, fmt.Sprint(arn))
		}
	case "DescribeServices":
		resources = g.named("service/"+ecsCluster+"/", c.body["services"])
	case "CreateService":
		resources = g.named("service/"+ecsCluster+"/", []any{c.body["serviceName"]})
	case "UpdateService", "DeleteService":
		resources = g.named("service/"+ecsCluster+"/", []any{c.body["service"]})
	case "TagResource", "UntagResource":
		resources = []string{c.text("resourceArn")}
	default:
		resources = []string{"*"}
	}
	var all []right
	for _, resource := range resources {
		all = append(all, right{Action: "ecs:" + c.action, Resource: resource})
	}
	if c.body["tags"] != nil && c.action == "CreateService" {
		all = append(all, right{Action: "ecs:TagResource", Resource: resources[0]})
	}
	if c.action == "RegisterTaskDefinition" {
		if c.body["tags"] != nil {
			all = append(all, right{Action: "ecs:TagResource", Resource: g.arn("ecs", "task-definition/"+c.text("family")+":1")})
		}
		for _, role := range []string{c.text("taskRoleArn"), c.text("executionRoleArn")} {
			if role != "" {
				all = append(all, right{"iam:PassRole", role, map[string]string{"iam:PassedToService": "ecs-tasks.amazonaws.com"}})
			}
		}
	}
	return all
}

// named are ARNs of what ECS's callers name by a name or by an ARN.
func (g *guard) named(prefix string, names any) []string {
	var all []string
	list, _ := names.([]any)
	for _, n := range list {
		name, _ := n.(string)
		all = append(all, g.arn("ecs", prefix+name[strings.LastIndexByte(name, '/')+1:]))
	}
	return all
}
