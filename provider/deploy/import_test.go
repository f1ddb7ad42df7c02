package deploy

import (
	"strings"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
)

func TestImportsAreOfThisAccountAndRegion(t *testing.T) {
	t.Parallel()
	home := iamrole.Home{Partition: "aws", Region: "us-east-1", Account: "123456789012"}
	const definition, service = "arn:aws:ecs:us-east-1:123456789012:task-definition/web:3", "arn:aws:ecs:us-east-1:123456789012:service/mesh/web"
	for id, want := range map[string]struct {
		ImportID
		refused string
	}{
		"web":      {ImportID{Definition: "web"}, ""},
		"web:3":    {ImportID{Definition: "web:3"}, ""},
		"mesh/web": {ImportID{ecsCluster: "mesh", ECSService: "web"}, ""},
		definition: {ImportID{Definition: "web:3"}, ""},
		service:    {ImportID{ecsCluster: "mesh", ECSService: "web"}, ""},
		"":         {refused: "want family"},
		"mesh/":    {refused: "want family"},
		"arn:x":    {refused: "is no ARN"},
		strings.Replace(definition, "us-east-1", "eu-west-1", 1):    {refused: "of the region eu-west-1"},
		strings.Replace(service, "123456789012", "999999999999", 1): {refused: "of the account 999999999999"},
		"arn:aws:iam::123456789012:role/web":                        {refused: "a role of iam"},
		"arn:aws:ecs:us-east-1:123456789012:cluster/mesh":           {refused: "a cluster of ecs"},
		"arn:aws:ecs:us-east-1:123456789012:service/web":            {refused: "want cluster/web"},
	} {
		got, err := parseImportID(id, home)
		if want.refused == "" && (err != nil || got != want.ImportID) || want.refused != "" && (err == nil || !strings.Contains(err.Error(), want.refused)) {
			t.Errorf("%q: %+v, %v; want %+v, %q", id, got, err, want.ImportID, want.refused)
		}
	}
}
