package provider_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// ownTests is what the tests of an example, for terraform test, end with.
const ownTests = ".tftest.hcl"

// hasTests reports whether an example has tests of its own.
func hasTests(folder string) bool {
	found, err := filepath.Glob(filepath.Join(folder, "tests", "*"+ownTests))
	return err == nil && len(found) > 0
}

// tested are the examples with tests of their own, by their names.
func tested(t *testing.T) []string {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join("..", "examples", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, folder := range slices.DeleteFunc(folders, func(folder string) bool { return !hasTests(folder) }) {
		names = append(names, filepath.Base(folder))
	}
	return names
}

// onlyPlanned are the examples that cannot be applied on the emulators, by the reason.
var onlyPlanned = map[string]string{
	"dev-server": "its families are those of another example; a test in a world applies a mesh on such a server",
}

// Every example passes its own tests, which plan it, and once more while it is applied on the emulator and destroyed.
func TestExamplesPassTheirOwnTests(t *testing.T) {
	t.Parallel()
	onEveryBinary(t, func(t *testing.T, on *binary) {
		c := on.startMoto(t).in("eu-central-1")
		places := c.prepareForExamples(t)
		for _, name := range tested(t) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				runOwnTests(t, c, places, on, name)
			})
		}
	})
}

// prepareForExamples makes what the tests of examples name: ECS clusters, and roles that others made. It returns what stands for the subnets
// and the security groups, which the emulator wants to know.
func (c cloud) prepareForExamples(t *testing.T) *strings.Replacer {
	t.Helper()
	for _, name := range []string{"main", "staging", "production", "retail", "trial"} {
		if _, err := c.ecs.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: &name}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"orders-task", "orders-execution"} {
		role := &iam.CreateRoleInput{
			RoleName: &name, Path: aws.String(mesh.RolePath), AssumeRolePolicyDocument: aws.String("{}"),
			Tags: []iamtypes.Tag{{Key: aws.String(mesh.RoleTagServiceName), Value: aws.String("orders")}},
		}
		if _, err := c.iam.CreateRole(t.Context(), role); err != nil {
			t.Fatal(err)
		}
	}
	network := ec2.NewFromConfig(c.config)
	subnets, err := network.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	if err != nil || len(subnets.Subnets) < 2 {
		t.Fatal(err, subnets)
	}
	first, second, group := *subnets.Subnets[0].SubnetId, *subnets.Subnets[1].SubnetId, c.securityGroup(t)
	if first > second { // as run_task_json has them
		first, second = second, first
	}
	return strings.NewReplacer("command = plan", "command = apply", "subnet-0a1b2c3d", first, "subnet-4e5f6a7b", second, "sg-0a1b2c3d", group, "sg-4e5f6a7b", group)
}

// waiting matches the resources that wait until tasks run, which those of the emulator never do.
var waiting = regexp.MustCompile(`(?m)^resource "consulecs_controller" "(\w+)"`)

// runOwnTests copies an example with its tests and, where it can be applied, with the same tests once more.
func runOwnTests(t *testing.T, c cloud, places *strings.Replacer, on *binary, name string) {
	t.Helper()
	folder, dir := filepath.Join("..", "examples", name), workDir(t)
	if err := os.CopyFS(string(dir), os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	override := fields{"provider": fields{"consulecs": fields{"agent_image": "agent:1"}}}
	if main, err := os.ReadFile(filepath.Join(folder, "main.tf")); err != nil {
		t.Fatal(err)
	} else if found := waiting.FindAllSubmatch(main, -1); found != nil {
		controllers := fields{}
		for _, m := range found {
			controllers[string(m[1])] = fields{"desired_count": 0}
		}
		override["resource"] = fields{"consulecs_controller": controllers}
	}
	dir.write(t, "emulator_override.tf.json", override)
	runs := 1
	if onlyPlanned[name] == "" {
		runs++
		applyWhatIsPlanned(t, places, filepath.Join(string(dir), "tests"))
	}
	cfg := on.config(t, dir)
	cfg.Env = append(cfg.Env, "AWS_ENDPOINT_URL="+c.url)
	out, err := newTerraform(t, cfg).Output(t.Context(), "test", "-no-color")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("Success! %d passed, 0 failed", runs); !strings.Contains(string(out), want) {
		t.Errorf("want %q:\n%s", want, out)
	}
}

// applyWhatIsPlanned writes each file of tests a second time, with applies in place of plans and with places that there are.
func applyWhatIsPlanned(t *testing.T, places *strings.Replacer, folder string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*"+ownTests))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		applied := places.Replace(string(text))
		if strings.Count(applied, "command = apply") != strings.Count(applied, "\nrun \"") {
			t.Errorf("%s has a run without command = plan: who tries the example would change his account", name)
		}
		if err := os.WriteFile(strings.TrimSuffix(name, ownTests)+"_applied"+ownTests, []byte(applied), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestExamplesAreFormatted(t *testing.T) {
	t.Parallel()
	tf := newTerraform(t, testenv.TerraformConfig{Folder: filepath.Join("..", "examples"), Work: t.TempDir()})
	if out, err := tf.Output(t.Context(), "fmt", "-check", "-recursive", "-diff"); err != nil {
		t.Errorf("%v\n%s\nhint: terraform fmt -recursive examples", err, out)
	}
}

// The index names the examples, and nothing else.
func TestTheIndexNamesEveryExample(t *testing.T) {
	t.Parallel()
	const root = "../examples"
	index, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`\]\(([\w-]+)\)`).FindAllStringSubmatch(string(index), -1) {
		named[m[1]] = true
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Errorf("the index names %s, which is not there", m[1])
		}
	}
	readmes, err := filepath.Glob(filepath.Join(root, "*", "README.md"))
	if err != nil || len(readmes) == 0 {
		t.Fatal(err, readmes)
	}
	for _, readme := range readmes {
		if name := filepath.Base(filepath.Dir(readme)); !named[name] {
			t.Errorf("examples/README.md does not name %s: add a row", name)
		}
	}
	for _, name := range tested(t) {
		if _, err := os.Stat(filepath.Join(root, name, "README.md")); err != nil {
			t.Errorf("example %s has no README.md", name)
		}
	}
}
