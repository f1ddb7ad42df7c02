package meshtask

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/standalone"
)

// All ARNs of a design are those of the partition that the credentials belong to; images of its registries may be pulled.
func TestADesignIsOfItsPartition(t *testing.T) {
	t.Parallel()
	anyARN := regexp.MustCompile(`arn:(aws[a-z-]*):([a-z0-9-]*):`)
	for partition, at := range map[string]struct{ region, domain string }{
		"aws":        {"eu-central-1", "amazonaws.com"},
		"aws-us-gov": {"us-gov-west-1", "amazonaws.com"},
		"aws-cn":     {"cn-north-1", "amazonaws.com.cn"},
		"aws-eusc":   {"eusc-de-east-1", "amazonaws.eu"},
		"aws-iso":    {"us-iso-east-1", "c2s.ic.gov"},
		"aws-iso-b":  {"us-isob-east-1", "sc2s.sgov.gov"},
		"aws-iso-e":  {"eu-isoe-west-1", "cloud.adc-e.uk"},
		"aws-iso-f":  {"us-isof-south-1", "csp.hci.ic.gov"},
	} {
		registry := "123456789012.dkr.ecr." + at.region + "." + at.domain
		log := block.LogConfiguration{LogDriver: aws.String("awslogs"), Options: map[string]string{"awslogs-group": "/mesh", "awslogs-region": at.region, "awslogs-stream-prefix": "mesh"}}
		m := &model{
			Family: aws.String("web"), Services: []block.Service{{Port: aws.Int32(8080)}}, ConsulServers: &block.ConsulServers{Hosts: aws.String("consul.example.com")},
			Login:      &block.Login{Enabled: aws.Bool(true)},
			Standalone: &standalone.Task{Cluster: aws.String("batch")},
			Containers: []block.Container{{Name: aws.String("app"), Image: aws.String(registry + "/app:1"), Secrets: map[string]string{"A": "by-its-name"}, LogConfiguration: &log}},
		}
		home := iamrole.Home{Partition: partition, Region: at.region, Account: "123456789012"}
		want, err := m.design(block.Defaults{Image: registry + "/agent:1"}, home, false)
		if err != nil {
			t.Fatal(err)
		}
		decided, err := want.Decided()
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal([]any{decided, m.computedNames(block.Defaults{}, home), *decided.Roles})
		if err != nil {
			t.Fatal(err)
		}
		named := map[string]bool{}
		for _, found := range anyARN.FindAllStringSubmatch(string(text), -1) {
			if named[found[2]] = true; found[1] != partition {
				t.Errorf("%s: there is %s", partition, found[0])
			}
		}
		for _, service := range []string{"iam", "ecs", "ecr", "ssm", "logs"} {
			if !named[service] {
				t.Errorf("%s: there is nothing of %s", partition, service)
			}
		}
		if slices.Contains([]string{*decided.TaskRoleARN, *decided.ExecutionRoleARN}, "") {
			t.Errorf("%s: a role has no ARN", partition)
		}
	}
}
