// Package walk follows a guide as a newcomer does: it runs every command of the page "First task on AWS" as it stands there, and holds
// what it prints against what the page says. Consul, Envoy, Terraform and the command lines are real. What stands for AWS, localecs
// before an emulator, is told by the environment, and by a file beside the page's own that Terraform merges into them.
package walk

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/logbuffer"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/required"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/world"
)

const page = "../../../docs/templates/guides/first-task-on-aws.md.tmpl"

// walkLimit bounds the whole page on a busy machine.
const walkLimit = 8 * time.Minute

// maxLines of what was said are shown when a command fails.
const maxLines = 200

// unused are the actions of the page's policy that the walk does not need, and what needs them.
var unused = map[string]string{
	"ecs:ListClusters":                  "an import by family alone",
	"ecs:DescribeServiceRevisions":      "monitoring, gateway_connector, or an import",
	"ecs:UntagResource":                 tagRemoved,
	"iam:UntagRole":                     tagRemoved,
	"sqs:UntagQueue":                    tagRemoved,
	"events:UntagResource":              tagRemoved,
	"iam:UpdateAssumeRolePolicy":        "iam.any_source is changed, or somebody changed the trust policy",
	"iam:AttachRolePolicy":              policyARNs,
	"iam:DetachRolePolicy":              policyARNs,
	"iam:PutRolePermissionsBoundary":    boundary,
	"iam:DeleteRolePermissionsBoundary": boundary,
	"sqs:SetQueueAttributes":            "somebody changed the queue",
}

const (
	tagRemoved = "a tag is taken out of the configuration"
	policyARNs = "iam.task_role.policy_arns"
	boundary   = "iam.permissions_boundary is changed"
)

func TestEveryCommandOfTheFirstTaskOnAWSRuns(t *testing.T) {
	tools, err := toolcache.Find()
	if err != nil {
		required.Missing(t, err)
	}
	w, err := world.Start(t.Context(), world.Config{Name: "walk", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	g := startGuard(t, w)
	folder := t.TempDir()
	blocks := fences(t, page)
	walked := script(t, blocks, values(t, w, folder))
	if t.Failed() {
		return
	}
	out, err := run(t, w, walked, folder, environment(t, g, tools))
	got := printed(out)
	last := 0
	for i, f := range blocks {
		if _, begun := got[f.line]; begun {
			last = f.line
		}
		if f.kind != "text" {
			continue
		}
		if _, begun := got[f.line]; !begun {
			break
		}
		if miss := missing(f.lines, got[blocks[i-1].line]); miss != "" {
			t.Errorf("line %d of the page: the block before it does not print %q but\n%s", f.line, miss, got[blocks[i-1].line])
		}
	}
	if err != nil {
		t.Fatalf("the block at line %d of the page: %v", last, err)
	}
	g.judge(t)
}

// judge wants Terraform to have needed the rights of the page, and no others.
func (g *guard) judge(t *testing.T) {
	t.Helper()
	for _, r := range g.refused {
		t.Errorf("the page's policy refuses %s", r)
	}
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, action := range policyOf(t, string(raw)).actions() {
		switch _, excused := unused[action]; {
		case g.used[action] && excused:
			t.Errorf("%s is said to be unused, and was used", action)
		case !g.used[action] && !excused:
			t.Errorf("the page's policy allows %s, which nothing used", action)
		}
	}
}

// sessionPlugin stands in for AWS's plugin, with which its command line speaks to ECS Exec: it asks localecs. The command line calls it with
// the session, the Region, an operation, the profile, the target and the endpoint, and without arguments to see whether it is there.
const sessionPlugin = `#!/bin/sh
[ $# -gt 0 ] || exit 0
field() { printf %s "$2" | sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p"; }
field tokenValue "$1" | tr -d '\n' | exec curl -sS --fail-with-body --data-binary @- "$6/_localecs/sessions/$(field sessionId "$1")"
`

// values are those that a reader puts in.
func values(t *testing.T, w *world.World, folder string) map[string]string {
	t.Helper()
	client := ec2.NewFromConfig(w.AWSConfig())
	vpcs, err := client.DescribeVpcs(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	vpc := vpcs.Vpcs[0].VpcId
	subnets, err := client.DescribeSubnets(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	group, err := client.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String("consul"), Description: aws.String("Consul's servers"), VpcId: vpc})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "ca.pem"), []byte(w.ConsulCAPEM), 0o644); err != nil {
		t.Fatal(err)
	}
	override := fmt.Sprintf(`
provider "consulecs" {
  agent_image = %q
  login {
    enabled      = true
    sts_endpoint = %[2]q
    iam_endpoint = %[2]q
  }
}
`, toolcache.AgentImage, w.AWS)
	if err := os.WriteFile(filepath.Join(folder, "local_override.tf"), []byte(override), 0o644); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"AWS_REGION": w.Region, "VPC_ID": *vpc, "MY_CIDR": "10.0.8.0/24", "CONSUL_SG": *group.GroupId,
		"TF_VAR_subnets":      fmt.Sprintf("[%q,%q]", *subnets.Subnets[0].SubnetId, *subnets.Subnets[1].SubnetId),
		"TF_VAR_consul_hosts": w.ConsulHost, "CONSUL_HTTP_ADDR": "https://" + w.ConsulHTTPS,
		"CONSUL_CACERT": "ca.pem", "CONSUL_TLS_SERVER_NAME": w.ConsulServerName,
	}
}

// environment is that of the reader's shell: the commands of the page, the registry with our provider, and AWS.
func environment(t *testing.T, g *guard, tools toolcache.Paths) []string {
	t.Helper()
	home := t.TempDir()
	bin, mirror := filepath.Join(home, "bin"), filepath.Join(home, "mirror")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, program := range map[string]string{"terraform": tools.Terraform, "consul": tools.Consul} {
		if err := os.Symlink(program, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tools.AWSCommand(bin); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "session-manager-plugin"), []byte(sessionPlugin), 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(home, "terraform-provider-consulecs_v0.1.0")
	if out, err := exec.Command("go", "build", "-ldflags", "-X main.version=0.1.0", "-o", program, "../../..").CombinedOutput(); err != nil {
		t.Fatalf("build the provider: %v\n%s", err, out)
	}
	for _, registry := range []string{"registry.terraform.io", "registry.opentofu.org"} {
		place := filepath.Join(mirror, registry, "consulecs/consulecs/0.1.0", runtime.GOOS+"_"+runtime.GOARCH)
		if err := os.MkdirAll(place, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(program, filepath.Join(place, filepath.Base(program))); err != nil {
			t.Fatal(err)
		}
	}
	settings := filepath.Join(home, "terraform.rc")
	if err := os.WriteFile(settings, fmt.Appendf(nil, "provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", mirror), 0o644); err != nil {
		t.Fatal(err)
	}
	return []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + home, "TF_CLI_CONFIG_FILE=" + settings, "TF_CLI_ARGS=-no-color", "CHECKPOINT_DISABLE=1",
		"AWS_ENDPOINT_URL=" + g.URL, "AWS_ACCESS_KEY_ID=" + administrator, "AWS_SECRET_ACCESS_KEY=test",
		"AWS_DEFAULT_REGION=" + g.world.Region, // the first version of AWS's command line does not look at AWS_REGION
	}
}

// run has bash run the script, with Consul's token for the command that reads it, and returns what it prints. An error tells the last
// of all that was said.
func run(t *testing.T, w *world.World, script, folder string, env []string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page.sh")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), walkLimit)
	defer cancel()
	var out bytes.Buffer
	var all logbuffer.Buffer
	cmd := exec.CommandContext(ctx, "bash", file)
	cmd.Dir, cmd.Env = folder, env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // Terraform too, which would wait on
	cmd.Stdin = strings.NewReader(w.Consul.BootstrapToken + "\n")
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, &all), &all
	err := cmd.Run()
	if err != nil {
		lines := strings.Split(all.String(), "\n")
		err = fmt.Errorf("%w, its end:\n%s", err, strings.Join(lines[max(0, len(lines)-maxLines):], "\n"))
	}
	return out.String(), err
}
