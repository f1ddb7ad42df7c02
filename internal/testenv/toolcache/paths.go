package toolcache

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/atomicfile"
)

// Paths tells where the real components are. An empty field is one that is not there; those that only make setup builds, and make
// demo does not, may be missing.
type Paths struct {
	Consul           string // the consul binary
	Envoy            string // the envoy binary
	MotoServer       string // moto_server: takes -H ADDRESS -p PORT
	LocalStackPython string // the Python that has LocalStack: -m localstack.runtime.main
	Terraform        string // terraform or tofu
	OpenTofu         string // tofu, also where terraform is there: built by make setup alone
	GoReleaser       string // goreleaser, built by make setup alone
	CycloneDX        string // cyclonedx-gomod, built by make setup alone
	DockerHost       string // unix:// address of a daemon that answers
}

// Find tells where each component is, without changing anything. What is there is filled in even where the error
// says that something else is missing.
func Find() (Paths, error) {
	cache, err := Open()
	if err != nil {
		return Paths{}, err
	}
	return cache.Find()
}

// Find is the function Find for this cache.
func (c Cache) Find() (Paths, error) {
	p := c.recorded()
	if socket, ok := findDaemon(os.Getenv("DOCKER_HOST"), c.privateSocket()); ok {
		p.DockerHost = "unix://" + socket
	}
	if lacking := p.lacking(); len(lacking) > 0 {
		return p, fmt.Errorf("tools missing: %s\nhint: run make setup", strings.Join(lacking, ", "))
	}
	return p, nil
}

// AWSCommand writes AWS's command line, aws, into a folder: LocalStack's environment has it, locked like the rest of it.
func (p Paths) AWSCommand(folder string) error {
	script := fmt.Sprintf("#!/bin/sh\nexec '%s' -m awscli \"$@\"\n", p.LocalStackPython)
	return os.WriteFile(filepath.Join(folder, "aws"), []byte(script), 0o755)
}

// Env renders the paths as NAME=value lines for a shell.
func (p Paths) Env() []string {
	var env []string
	for _, f := range p.fields() {
		env = append(env, f.env+"="+*f.value)
	}
	return env
}

type pathField struct {
	env, label string // label "" = none needs it
	value      *string
}

func (p *Paths) fields() []pathField {
	return []pathField{
		{"DOCKER_HOST", "a Docker daemon", &p.DockerHost},
		{"CONSUL", "Consul", &p.Consul},
		{"ENVOY", "Envoy", &p.Envoy},
		{"MOTO_SERVER", "moto", &p.MotoServer},
		{"LOCALSTACK_PYTHON", "LocalStack", &p.LocalStackPython},
		{"TERRAFORM", "Terraform or OpenTofu", &p.Terraform},
		{"OPENTOFU", "", &p.OpenTofu},
		{"GORELEASER", "", &p.GoReleaser},
		{"CYCLONEDX_GOMOD", "", &p.CycloneDX},
	}
}

func (p *Paths) lacking() []string {
	var labels []string
	for _, f := range p.fields() {
		if *f.value == "" && f.label != "" {
			labels = append(labels, f.label)
		}
	}
	return labels
}

// record is the file that says which tools the last set-up with these pins settled on.
func (c Cache) record() string {
	pins, _ := json.Marshal(c.Pins) // plain strings: cannot fail
	return filepath.Join(c.Root, "tools-"+digest(string(pins))+".json")
}

// recorded reads the record and drops what is no longer on disk.
func (c Cache) recorded() Paths {
	var p Paths
	raw, err := os.ReadFile(c.record())
	if err != nil || json.Unmarshal(raw, &p) != nil {
		return Paths{}
	}
	p.DockerHost = ""
	for _, f := range p.fields() {
		if !exists(*f.value) {
			*f.value = ""
		}
	}
	if !exists(filepath.Join(filepath.Dir(p.MotoServer), "venv/bin/python")) {
		p.MotoServer = "" // the Python it was made with is gone
	}
	return p
}

func (c Cache) save(p Paths) error {
	p.DockerHost = ""
	raw, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.Write(c.record(), bytes.NewReader(append(raw, '\n')), 0o644); err != nil {
		return fmt.Errorf("record the tools: %w", err)
	}
	return nil
}
