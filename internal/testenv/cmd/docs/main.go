// Command docs writes the reference pages in docs/ anew, from the provider's schema, the templates in docs/templates and the
// configurations in examples/, and checks them as the registries do. It runs in the repository's root and needs no network: the
// schema comes from the provider itself through the Terraform of the tool cache. Exit codes: 0 written, 1 an error.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

const provider = "consulecs"

// schemaKey is where tfplugindocs looks for a provider's schema in a file, whatever the provider's real address is.
const schemaKey = "registry.terraform.io/hashicorp/" + provider

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	work, err := os.MkdirTemp("", "consulecs-docs-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := command(ctx, nil, nil, "go", "build", "-o", filepath.Join(work, "terraform-provider-consulecs"), "."); err != nil {
		return err
	}
	schema, err := providerSchema(ctx, work)
	if err != nil {
		return err
	}
	file := filepath.Join(work, "schema.json")
	if err := os.WriteFile(file, schema, 0o600); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"generate", "--website-source-dir", "docs/templates", "--rendered-website-dir", "docs"},
		{"validate"}, // as the registries will read them; what they do not know, such as docs/design, they leave out
	} {
		args = append([]string{"tool", "-modfile=tools.mod", "tfplugindocs", args[0], "--provider-name", provider, "--providers-schema", file}, args[1:]...)
		if err := command(ctx, nil, nil, "go", args...); err != nil {
			return err
		}
	}
	return nil
}

// providerSchema asks the provider in work for its schema.
func providerSchema(ctx context.Context, work string) ([]byte, error) {
	tools, err := toolcache.Find()
	if err != nil {
		return nil, err
	}
	rc := filepath.Join(work, "terraform.rc")
	if err := os.WriteFile(rc, testenv.CLIConfig(work), 0o600); err != nil {
		return nil, err
	}
	config := fmt.Sprintf("terraform {\n  required_providers {\n    consulecs = { source = %q }\n  }\n}\n", "consulecs/consulecs")
	if err := os.WriteFile(filepath.Join(work, "main.tf"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	env := []string{"TF_CLI_CONFIG_FILE=" + rc, "CHECKPOINT_DISABLE=1"}
	if err := command(ctx, env, &out, tools.Terraform, "-chdir="+work, "providers", "schema", "-json"); err != nil {
		return nil, err
	}
	var document struct {
		FormatVersion string                     `json:"format_version"`
		Schemas       map[string]json.RawMessage `json:"provider_schemas"`
	}
	if err := json.Unmarshal(out.Bytes(), &document); err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	for _, s := range document.Schemas { // one: Terraform and OpenTofu name its registry differently
		if s, err = withLaterKinds(ctx, s); err != nil {
			return nil, err
		}
		document.Schemas = map[string]json.RawMessage{schemaKey: s}
	}
	return json.Marshal(document)
}

// withLaterKinds puts into a provider's schema what a Terraform before 1.14 leaves out: the actions and the list resources.
func withLaterKinds(ctx context.Context, schema json.RawMessage) (json.RawMessage, error) {
	var parts, later map[string]json.RawMessage
	if err := json.Unmarshal(schema, &parts); err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	var out bytes.Buffer
	if err := command(ctx, nil, &out, "go", "run", "./provider/cmd/laterschemas"); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(out.Bytes(), &later); err != nil {
		return nil, fmt.Errorf("read the schemas of later kinds: %w", err)
	}
	for kind, of := range later {
		if _, there := parts[kind]; !there {
			parts[kind] = of
		}
	}
	return json.Marshal(parts)
}

// command runs a program and shows what it printed only when it fails.
func command(ctx context.Context, env []string, out *bytes.Buffer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	if out != nil {
		cmd.Stdout = out
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w:\n%s", strings.Join(append([]string{name}, args[:min(4, len(args))]...), " "), err, printed.String())
	}
	return nil
}
