package canonical

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

func TestWhatMayBeSensitiveIsShownAsAHash(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for name, change := range map[string]func(*ecstypes.ContainerDefinition, *taskdef.Definition){
		"a variable": func(c *ecstypes.ContainerDefinition, _ *taskdef.Definition) {
			c.Environment[1].Value = aws.String(secret)
		},
		"a command": func(c *ecstypes.ContainerDefinition, _ *taskdef.Definition) {
			c.Command = []string{"x", "--token=" + secret}
		},
		"an entry point": func(c *ecstypes.ContainerDefinition, _ *taskdef.Definition) { c.EntryPoint = []string{secret} },
		"a health check": func(c *ecstypes.ContainerDefinition, _ *taskdef.Definition) {
			c.HealthCheck.Command = []string{"CMD", secret}
		},
		"a label": func(c *ecstypes.ContainerDefinition, _ *taskdef.Definition) {
			c.DockerLabels = map[string]string{"a": secret}
		},
		"an option of the log": func(c *ecstypes.ContainerDefinition, _ *taskdef.Definition) {
			c.LogConfiguration = &ecstypes.LogConfiguration{LogDriver: "splunk", Options: map[string]string{"splunk-token": secret}}
		},
		"an option of a volume": func(_ *ecstypes.ContainerDefinition, d *taskdef.Definition) {
			d.Volumes[0].DockerVolumeConfiguration = &ecstypes.DockerVolumeConfiguration{DriverOpts: map[string]string{"o": "password=" + secret}}
		},
	} {
		plain, changed := show(t, asked(), "a"), asked()
		change(&changed.ContainerDefinitions[0], changed)
		got := show(t, changed, "a")
		if text := got.Frame + got.Containers["web"]; strings.Contains(text, secret) {
			t.Errorf("%s is shown: %s", name, text)
		}
		if got.Frame+got.Containers["web"] == plain.Frame+plain.Containers["web"] || got.Hash == plain.Hash {
			t.Errorf("%s changed, and nothing shows it", name)
		}
		if other := show(t, changed, "b"); other.Frame+other.Containers["web"] == got.Frame+got.Containers["web"] || other.Hash == got.Hash {
			t.Errorf("%s looks alike to two owners", name)
		}
	}
}

func show(t *testing.T, d *taskdef.Definition, owner string) Shown {
	t.Helper()
	c, err := Of(d)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := c.ShownTo(owner)
	if err != nil {
		t.Fatal(err)
	}
	return shown
}
