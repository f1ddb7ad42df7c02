package iamrole

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

var validPolicyName = regexp.MustCompile(`^[A-Za-z0-9+=,.@_-]{1,128}$`)

// statementKeys are what a statement of a policy in a role may say. It has no principal: that is the role.
var statementKeys = []string{"Action", "Condition", "Effect", "NotAction", "NotResource", "Resource", "Sid"}

// checkInline checks the user's inline policies of a role as far as IAM does when it takes them.
func checkInline(policies map[string]string, path problem.Path, found *problem.List) {
	length := 0
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		at := path.Child(problem.Key(name))
		switch {
		case !validPolicyName.MatchString(name):
			found.Add(at, "has a name that IAM refuses: want 1 to 128 letters, digits and +=,.@_-")
		case IsOwnPolicy(name):
			found.Add(at, "has the name of a policy of the mesh: choose another")
		}
		checkDocument(policies[name], at, found)
		length += lengthOf(policies[name])
	}
	if length > maxInline {
		found.Add(path, "has policies of %d characters together, IAM takes %d in a role, the mesh's own included: put some into managed policies", length, maxInline)
	}
}

func checkDocument(text string, at problem.Path, found *problem.List) {
	var document map[string]any
	if err := json.Unmarshal([]byte(text), &document); err != nil || document == nil {
		found.Add(at, "is no policy, want a JSON object with Version and Statement, as jsonencode({…}) makes it")
		return
	}
	for _, key := range slices.Sorted(maps.Keys(document)) {
		if !slices.Contains([]string{"Id", "Statement", "Version"}, key) {
			found.Add(at, "has the key %q, want Version, Id and Statement alone", key)
		}
	}
	switch v, set := document["Version"]; {
	case !set:
		found.Add(at, "has no Version, want %q", version)
	case v != version:
		found.Add(at, "has the Version %q, want %q", fmt.Sprint(v), version)
	}
	statements, isList := document["Statement"].([]any)
	if !isList && document["Statement"] != nil {
		statements = []any{document["Statement"]}
	}
	if len(statements) == 0 {
		found.Add(at, "has no Statement: it would grant nothing")
	}
	for i, s := range statements {
		place := "Statement"
		if isList {
			place = fmt.Sprintf("Statement[%d]", i)
		}
		checkStatement(s, place, at, found)
	}
}

func checkStatement(s any, place string, at problem.Path, found *problem.List) {
	statement, ok := s.(map[string]any)
	if !ok {
		found.Add(at, "has a %s that is no object", place)
		return
	}
	for _, key := range slices.Sorted(maps.Keys(statement)) {
		if !slices.Contains(statementKeys, key) {
			found.Add(at, "has the key %q in %s, want one of %s", key, place, strings.Join(statementKeys, ", "))
		}
	}
	if effect := statement["Effect"]; effect != "Allow" && effect != "Deny" {
		found.Add(at, "has the Effect %q in %s, want Allow or Deny", fmt.Sprint(effect), place)
	}
	for _, key := range []string{"Action", "Resource"} {
		_, is := statement[key]
		_, not := statement["Not"+key]
		if is == not {
			found.Add(at, "has neither %s nor Not%[1]s in %s, or both: want one of them", key, place)
		}
	}
}
