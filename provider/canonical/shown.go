package canonical

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
)

// Shown is a definition as state and plans show it: where a value stands that its author may have marked sensitive,
// there is a short hash, which shows that it changed and not what it is.
type Shown struct {
	Frame      string            // all but the containers, as JSON
	Containers map[string]string // JSON by name
	Hash       string            // of the content, tags aside: SHA-256 in hexadecimal digits
}

// plain are the keys whose texts show as they are: names, images and ARNs, which AWS shows in every listing, and AWS's own words.
var plain = []string{
	"accessPointArn", "accessPointId", "appProtocol", "authorizationConfig", "condition", "containerName", "containerPortRange", "cpu", "cpuArchitecture", "credentialsParameter",
	"drop", "add", "executionRoleArn", "family", "fileSystemArn", "fileSystemId", "iam", "image", "ipcMode", "logDriver", "memory", "name", "namespace", "networkMode",
	"operatingSystemFamily", "pidMode", "protocol", "requiresCompatibilities", "scope", "sourceContainer", "sourceVolume", "taskRoleArn", "transitEncryption",
	"type", "valueFrom",
}

// ShownTo is the definition as its owner's state shows it. The owner goes into the hashes, so that equal values of two owners do
// not look alike.
func (d Definition) ShownTo(owner string) (Shown, error) {
	var frame map[string]any
	var containers []map[string]any
	for text, into := range map[string]any{d.frame: &frame, d.containers: &containers} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			return Shown{}, fmt.Errorf("show task definition: %w", err)
		}
	}
	out := Shown{Containers: map[string]string{}, Hash: digest(owner, d.frame+"\n"+d.containers)}
	text, err := json.Marshal(concealed(owner, "", frame))
	if err != nil {
		return Shown{}, fmt.Errorf("show task definition: %w", err)
	}
	out.Frame = string(text)
	for _, container := range containers {
		if text, err = json.Marshal(concealed(owner, "", container)); err != nil {
			return Shown{}, fmt.Errorf("show container %v: %w", container["name"], err)
		}
		out.Containers[fmt.Sprint(container["name"])] = string(text)
	}
	return out, nil
}

// concealed is what a key stands for, with hashes in the place of texts that are not plain.
func concealed(owner, key string, v any) any {
	switch x := v.(type) {
	case map[string]any:
		for name, field := range x {
			if slices.Contains(opaque, key) { // its keys are their author's
				x[name] = Hidden(owner, field)
			} else {
				x[name] = concealed(owner, name, field)
			}
		}
	case []any:
		if len(x) > 0 && !slices.Contains(plain, key) {
			if _, texts := x[0].(string); texts {
				return Hidden(owner, x)
			}
		}
		for i, element := range x {
			x[i] = concealed(owner, key, element)
		}
	case string:
		if !slices.Contains(plain, key) {
			return Hidden(owner, x)
		}
	}
	return v
}

// Hidden stands for a value that is not shown. It is long enough that no change is missed by chance.
func Hidden(owner string, v any) string {
	text, _ := json.Marshal(v) // what JSON was read into is written
	return "sha256:" + digest(owner, string(text))[:12]
}

func digest(owner, text string) string {
	sum := sha256.Sum256([]byte(owner + "\n" + text))
	return hex.EncodeToString(sum[:])
}
