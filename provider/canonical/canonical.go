// Package canonical compares task definitions: it gives one the form in which what was asked for and what ECS returns are the same
// text, and the form in which state and plans may show it.
package canonical

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
)

// Definition is a task definition in the one form in which what was asked for and what ECS returns can be
// compared: without what ECS fills in by itself, with lists whose order means nothing in the order of names.
type Definition struct {
	frame      string // JSON of all but the containers and the tags
	containers string // JSON
}

// Hash names the content: SHA-256 in hexadecimal digits.
func (d Definition) Hash() string {
	sum := sha256.Sum256([]byte(d.frame + "\n" + d.containers))
	return hex.EncodeToString(sum[:])
}

// Of accepts a *taskdef.Definition or an *ecstypes.TaskDefinition: both spell a definition alike.
func Of(definition any) (Definition, error) {
	encoded, err := awsjson.Marshal(definition)
	if err != nil {
		return Definition{}, fmt.Errorf("write task definition: %w", err)
	}
	var plain map[string]any
	if err := json.Unmarshal(encoded, &plain); err != nil {
		return Definition{}, fmt.Errorf("write task definition: %w", err)
	}
	containers, _ := plain["containerDefinitions"].([]any)
	frame := map[string]any{}
	for _, key := range definitionKeys {
		if v, ok := plain[key]; ok {
			frame[key] = v
		}
	}
	for _, c := range containers {
		fillContainer(c.(map[string]any))
	}
	var out Definition
	for _, part := range []struct {
		Value any
		text  *string
	}{{prune("", frame), &out.frame}, {prune("containerDefinitions", containers), &out.containers}} {
		b, err := json.Marshal(part.Value)
		if err != nil {
			return Definition{}, fmt.Errorf("write task definition: %w", err)
		}
		*part.text = string(b)
	}
	return out, nil
}

// definitionKeys are the keys beside the containers that a registration may set; what ECS adds to its answers, such as
// revision and status, is none of them, and tags change without a new revision.
var definitionKeys = []string{
	"cpu", "enableFaultInjection", "ephemeralStorage", "executionRoleArn", "family", "ipcMode", "memory", "networkMode", "pidMode",
	"placementConstraints", "proxyConfiguration", "requiresCompatibilities", "runtimePlatform", "taskRoleArn", "volumes",
}

// fillContainer writes out ECS's defaults where an absent value and the default mean the same.
func fillContainer(c map[string]any) {
	if c["essential"] == nil {
		c["essential"] = true
	}
	if check, ok := c["healthCheck"].(map[string]any); ok {
		for key, otherwise := range map[string]float64{"interval": 30, "retries": 3, "timeout": 5} {
			if check[key] == nil {
				check[key] = otherwise
			}
		}
	}
	if c["versionConsistency"] == "enabled" {
		delete(c, "versionConsistency")
	}
	mappings, _ := c["portMappings"].([]any)
	for _, m := range mappings {
		mapping := m.(map[string]any)
		if mapping["hostPort"] == mapping["containerPort"] { // awsvpc knows no other
			delete(mapping, "hostPort")
		}
		if mapping["protocol"] == "tcp" {
			delete(mapping, "protocol")
		}
	}
}

// zeroIsAbsent are numbers whose zero means the same as none; falseCounts are flags whose false says something.
var (
	zeroIsAbsent = []string{"cpu", "hostPort", "startPeriod"}
	falseCounts  = []string{"essential", "enabled"}
)

// opaque are maps whose keys are the user's: an empty value says something there.
var opaque = []string{"dockerLabels", "driverOpts", "labels", "options"}

// prune drops what says nothing and sorts lists without an order of their own. key is where v stands.
func prune(key string, v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k, field := range x {
			if m, ok := field.(map[string]any); ok && len(m) > 0 && slices.Contains(opaque, k) {
				continue
			}
			pruned := prune(k, field)
			if SaysNothing(k, pruned) {
				delete(x, k)
			} else {
				x[k] = pruned
			}
		}
	case []any:
		for i := range x {
			x[i] = prune("", x[i])
		}
		if by, ok := unordered[key]; ok {
			slices.SortStableFunc(x, func(a, b any) int { return strings.Compare(sortKey(a, by), sortKey(b, by)) })
		}
	}
	return v
}

// unordered are the lists whose order means nothing, with the key that they are sorted by; "" sorts plain values.
var unordered = map[string]string{
	"containerDefinitions": "name", "environment": "name", "secrets": "name", "secretOptions": "name", "ulimits": "name", "volumes": "name",
	"dependsOn": "containerName", "mountPoints": "containerPath", "volumesFrom": "sourceContainer", "systemControls": "namespace",
	"portMappings": "containerPort", "resourceRequirements": "type", "placementConstraints": "expression", "requiresCompatibilities": "",
	"add": "", "drop": "",
}

func sortKey(v any, by string) string {
	if object, ok := v.(map[string]any); ok {
		if n, ok := object[by].(float64); ok {
			return fmt.Sprintf("%010.0f", n)
		}
		return fmt.Sprint(object[by])
	}
	return fmt.Sprint(v)
}

// SaysNothing reports whether ECS takes what stands at a key of a definition for absent.
func SaysNothing(key string, v any) bool {
	switch x := v.(type) {
	case nil:
		return true
	case map[string]any:
		return len(x) == 0
	case []any:
		return len(x) == 0
	case bool:
		return !x && !slices.Contains(falseCounts, key)
	case float64:
		return x == 0 && slices.Contains(zeroIsAbsent, key)
	case string:
		return x == "" && key != "value" || key == "rootDirectory" && x == "/"
	}
	return false
}

// JSON writes a JSON document with sorted keys and without blanks. Text that is no JSON is kept as a JSON string.
func JSON(text string) json.RawMessage {
	var plain any
	if json.Unmarshal([]byte(text), &plain) != nil {
		plain = text
	}
	b, err := json.Marshal(plain)
	if err != nil {
		return nil
	}
	return b
}
