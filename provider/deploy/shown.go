package deploy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
)

// shownDefinition is a definition as state and plans show it: where a value stands that its author may have marked sensitive,
// there is a short hash, which shows that it changed and not what it is.
type shownDefinition struct {
	frame      string
	containers map[string]string // by name
	hash       string            // of the content, tags aside: SHA-256 in hexadecimal digits
}

// concealedLists and concealedMaps are the keys of such values, besides those of environment variables.
var (
	concealedLists = []string{"command", "entryPoint"}
	concealedMaps  = opaque
)

// shownTo is the definition as its owner's state shows it. The owner goes into the hashes, so that equal values of two owners do
// not look alike.
func (c canonicalDefinition) shownTo(owner string) (shownDefinition, error) {
	var frame map[string]any
	var containers []map[string]any
	for text, into := range map[string]any{c.frame: &frame, c.containers: &containers} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			return shownDefinition{}, fmt.Errorf("show task definition: %w", err)
		}
	}
	out := shownDefinition{containers: map[string]string{}, hash: digest(owner, c.frame+"\n"+c.containers)}
	text, err := json.Marshal(concealed(owner, frame))
	if err != nil {
		return shownDefinition{}, fmt.Errorf("show task definition: %w", err)
	}
	out.frame = string(text)
	for _, container := range containers {
		if text, err = json.Marshal(concealed(owner, container)); err != nil {
			return shownDefinition{}, fmt.Errorf("show container %v: %w", container["name"], err)
		}
		out.containers[fmt.Sprint(container["name"])] = string(text)
	}
	return out, nil
}

func concealed(owner string, v any) any {
	switch x := v.(type) {
	case map[string]any:
		for key, field := range x {
			switch below := field.(type) {
			case []any:
				if slices.Contains(concealedLists, key) {
					x[key] = shortDigest(owner, below)
					continue
				}
				if key == "environment" {
					concealValues(owner, below)
					continue
				}
			case map[string]any:
				if slices.Contains(concealedMaps, key) {
					for name, value := range below {
						below[name] = shortDigest(owner, value)
					}
					continue
				}
			}
			concealed(owner, field)
		}
	case []any:
		for _, element := range x {
			concealed(owner, element)
		}
	}
	return v
}

func concealValues(owner string, variables []any) {
	for _, v := range variables {
		if pair, ok := v.(map[string]any); ok && pair["value"] != nil {
			pair["value"] = shortDigest(owner, pair["value"])
		}
	}
}

// shortDigest is long enough that no change is missed by chance.
func shortDigest(owner string, v any) string {
	text, _ := json.Marshal(v) // what JSON was read into is written
	return "sha256:" + digest(owner, string(text))[:12]
}

func digest(owner, text string) string {
	sum := sha256.Sum256([]byte(owner + "\n" + text))
	return hex.EncodeToString(sum[:])
}
