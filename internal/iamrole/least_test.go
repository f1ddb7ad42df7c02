package iamrole_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// wide are the statements that may name what is no one thing of the task's, each with its reason.
var wide = map[string]string{
	"EnterRegistries": "ecr:GetAuthorizationToken has no resource",
	"OpenChannels":    "the four ssmmessages actions of ECS Exec have no resource",
	"SeeTasks":        "tasks have no names before they are born: a condition holds it to the ECS clusters",
	"WriteLogs":       "the streams of a group are named after tasks",
	"CreateLogGroups": "the ARN of a group ends so",
	"RunTasks":        "any revision of the one family, in one ECS cluster by a condition",
	"TagTasks":        "tasks have no names before they are born: a condition holds it to their birth",
}

// Every policy that is generated, as the golden files have it, grants the actions that it names on what it names.
func TestNoPolicyGrantsMoreThanItHasTo(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "*.golden.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	used := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var role struct {
			Policy struct {
				Statement []struct {
					Sid, Effect      string
					Action, Resource []string
					Condition        map[string]any
				}
			}
		}
		if err := json.Unmarshal(text, &role); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, s := range role.Policy.Statement {
			if s.Effect != "Allow" {
				continue
			}
			for _, action := range s.Action {
				if strings.Contains(action, "*") {
					t.Errorf("%s: %s grants %s, want actions by name", file, s.Sid, action)
				}
			}
			for _, resource := range s.Resource {
				if resource != "*" && !strings.Contains(resource, ":*") && !strings.HasSuffix(resource, "/*") {
					continue
				}
				used[s.Sid] = true
				if wide[s.Sid] == "" {
					t.Errorf("%s: %s grants its actions on %s, want what it is for, or a reason in wide", file, s.Sid, resource)
				}
				if slices.Contains([]string{"SeeTasks", "RunTasks", "TagTasks"}, s.Sid) && len(s.Condition) == 0 {
					t.Errorf("%s: %s has no condition", file, s.Sid)
				}
			}
		}
	}
	for _, sid := range slices.Sorted(maps.Keys(wide)) {
		if !used[sid] {
			t.Errorf("no policy has the statement %s, which has a reason in wide", sid)
		}
	}
}
