package testenv

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/logbuffer"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// TerraformConfig says what to run Terraform on.
type TerraformConfig struct {
	Folder    string // with the configuration; nothing is written there
	Work      string // for state, plan and CLI configuration
	Provider  string // folder with the built provider
	Variables map[string]string
	Env       []string  // added to this process's environment
	Binary    string    // default: what the tool cache found
	Out       io.Writer // gets the lines that tell of progress; nil = none
}

// Terraform runs Terraform, or OpenTofu, with the provider under development. No init is needed: the provider comes
// from a folder.
type Terraform struct {
	cfg    TerraformConfig
	binary string
}

// NewTerraform prepares runs in cfg.Work.
func NewTerraform(cfg TerraformConfig) (*Terraform, error) {
	tools, err := toolcache.Find()
	if err != nil {
		return nil, err
	}
	cfg.Variables = maps.Clone(cfg.Variables)
	t := &Terraform{cfg: cfg, binary: cmp.Or(cfg.Binary, tools.Terraform)}
	return t, os.WriteFile(t.cliConfig(), CLIConfig(cfg.Provider), 0o600)
}

// CLIConfig is the CLI configuration that finds the provider in the folder bin, under either registry's name.
func CLIConfig(bin string) []byte {
	return fmt.Appendf(nil, "provider_installation {\n  dev_overrides {\n    \"consulecs/consulecs\" = %q\n  }\n  direct {}\n}\n", bin)
}

func (t *Terraform) cliConfig() string { return filepath.Join(t.cfg.Work, "terraform.rc") }

// State is the file of the state.
func (t *Terraform) State() string { return filepath.Join(t.cfg.Work, "terraform.tfstate") }

// Set gives an input variable a new value for the runs to come.
func (t *Terraform) Set(variable, value string) { t.cfg.Variables[variable] = value }

// Apply makes the world as the configuration says.
func (t *Terraform) Apply(ctx context.Context) error {
	_, err := t.run(ctx, t.withVariables("apply", "-auto-approve", "-input=false", "-no-color", "-state="+t.State()))
	return err
}

// Destroy removes everything in the state.
func (t *Terraform) Destroy(ctx context.Context) error {
	_, err := t.run(ctx, t.withVariables("destroy", "-auto-approve", "-input=false", "-no-color", "-state="+t.State()))
	return err
}

// PlanChanges names each resource that a plan would change, with the actions. None is an empty plan.
func (t *Terraform) PlanChanges(ctx context.Context) ([]string, error) {
	plan := filepath.Join(t.cfg.Work, "plan")
	if _, err := t.run(ctx, t.withVariables("plan", "-input=false", "-no-color", "-state="+t.State(), "-out="+plan)); err != nil {
		return nil, err
	}
	shown, err := t.run(ctx, []string{"show", "-json", plan})
	if err != nil {
		return nil, err
	}
	var document struct {
		Changes []struct {
			Address string
			Change  struct{ Actions []string }
		} `json:"resource_changes"`
	}
	if err := json.Unmarshal(shown, &document); err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	var changes []string
	for _, c := range document.Changes {
		if !slices.Equal(c.Change.Actions, []string{"no-op"}) {
			changes = append(changes, fmt.Sprintf("%s (%s)", c.Address, strings.Join(c.Change.Actions, ", ")))
		}
	}
	return changes, nil
}

func (t *Terraform) withVariables(args ...string) []string {
	for _, name := range slices.Sorted(maps.Keys(t.cfg.Variables)) {
		args = append(args, "-var", name+"="+t.cfg.Variables[name])
	}
	return args
}

// Diagnostic is what Terraform says of a configuration.
type Diagnostic struct {
	Severity, Summary, Detail string

	Range struct {
		Filename   string
		Start, End struct{ Line, Byte int }
	}
}

// Validate returns what Terraform and the provider say of the configuration.
func (t *Terraform) Validate(ctx context.Context) ([]Diagnostic, error) {
	out, failure := t.run(ctx, []string{"validate", "-json"})
	var document struct{ Diagnostics []Diagnostic }
	if err := json.Unmarshal(out, &document); err != nil {
		return nil, fmt.Errorf("read what validate says: %w", errors.Join(err, failure))
	}
	return document.Diagnostics, nil
}

// Output runs any command and returns its standard output; an error holds all that it printed.
func (t *Terraform) Output(ctx context.Context, args ...string) ([]byte, error) {
	return t.run(ctx, t.withVariables(args...))
}

// run runs Terraform in the configuration's folder and returns its standard output. An error holds all that it printed.
func (t *Terraform) run(ctx context.Context, args []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, t.binary, append([]string{"-chdir=" + t.cfg.Folder}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it then saves its state
	cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+t.cliConfig(), "TF_DATA_DIR="+filepath.Join(t.cfg.Work, ".terraform"), "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1")
	cmd.Env = append(cmd.Env, t.cfg.Env...)
	var all logbuffer.Buffer
	var out bytes.Buffer
	cmd.Stdout = io.MultiWriter(&out, &all)
	cmd.Stderr = &all
	if t.cfg.Out != nil {
		shown, end := progress(t.cfg.Out)
		defer end()
		cmd.Stdout = io.MultiWriter(&out, &all, shown)
	}
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("%s %s: %w:\n%s", filepath.Base(t.binary), args[0], errors.Join(err, ctx.Err()), all.String())
	}
	return out.Bytes(), nil
}

// telling matches the lines of Terraform's output that say what happens: to a resource, or in all.
var telling = regexp.MustCompile(`^\S+: (Creat|Modif|Destr|Still|Destruction)|^(Apply|Destroy) complete|^Plan: |^No changes`)

// progress returns a writer that passes the telling lines on to out. end waits until they are through.
func progress(out io.Writer) (w io.Writer, end func()) {
	r, pw := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if telling.MatchString(lines.Text()) {
				fmt.Fprintln(out, "   terraform: "+lines.Text())
			}
		}
		_, _ = io.Copy(io.Discard, r) // after a line that is too long, so that the writer is never stuck
	}()
	return pw, func() {
		pw.Close()
		<-done
	}
}

// ProviderBlock is the provider's configuration for tests, for the URL of AWS.
func ProviderBlock(url string) string {
	return fmt.Sprintf(`
provider "consulecs" {
  region = "us-east-1"
  endpoints {
    ecs            = %[1]q
    iam            = %[1]q
    sts            = %[1]q
    secretsmanager = %[1]q
    sqs            = %[1]q
    events         = %[1]q
  }
  default_tags { tags = { team = "mesh" } }
  agent_image = "agent:1"
  consul_servers {
    hosts = "consul.example.com"
    tls {
      server_name   = "server.dc1.consul"
      ca_secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:ca"
    }
  }
  login {
    enabled      = true
    sts_endpoint = %[1]q
    iam_endpoint = %[1]q
  }
}
`, url)
}
