// Package toolchain pins the real components that the tests and the demo run on: versions.json names them,
// python/*.txt lock the Python packages with their checksums, and the wrapper modules consul/, opentofu/,
// goreleaser/ and cyclonedx/ lock the Go builds. Nothing of it ships.
package toolchain

import (
	"embed"
	"encoding/json"
	"fmt"
)

//go:embed versions.json python/*.txt
var files embed.FS

// Pin is one component's version: the one that is brought, and the least that is accepted from PATH instead.
type Pin struct {
	Version string `json:"version"`
	Minimum string `json:"minimum"`
}

// Pins is the content of versions.json.
type Pins struct {
	Consul     Pin `json:"consul"`
	OpenTofu   Pin `json:"opentofu"` // its minimum holds for Terraform as well: both count alike up to here
	Envoy      Pin `json:"envoy"`
	Moto       Pin `json:"moto"`
	LocalStack Pin `json:"localstack"`
	Python     Pin `json:"python"`
	// GoReleaser and CycloneDX (cyclonedx-gomod) make a release.
	GoReleaser Pin `json:"goreleaser"`
	CycloneDX  Pin `json:"cyclonedx"`
	// BasePackages are the Debian packages the container base is made of. apt verifies them.
	BasePackages []string `json:"basePackages"`
}

// Load reads the pins that were compiled in.
func Load() (Pins, error) {
	var p Pins
	raw, err := files.ReadFile("versions.json")
	if err != nil {
		return p, fmt.Errorf("read the tool versions: %w", err)
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return p, fmt.Errorf("parse versions.json: %w", err)
	}
	return p, nil
}

// Requirements returns a locked requirements file for pip: envoy, moto or localstack.
func Requirements(name string) ([]byte, error) {
	raw, err := files.ReadFile("python/" + name + ".txt")
	if err != nil {
		return nil, fmt.Errorf("read the Python lock of %s: %w", name, err)
	}
	return raw, nil
}
