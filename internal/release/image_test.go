package release_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/required"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

func TestMakeImageSaysWhatItNeedsWhereNoRegistryIsInReach(t *testing.T) {
	t.Parallel()
	tools, err := toolcache.Find()
	host := required.Tool(t, "a Docker daemon", tools.DockerHost, err)
	cmd := exec.CommandContext(t.Context(), "make", "image", "ENVOY=registry.invalid/envoy:v0")
	cmd.Dir = repository
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+host)
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("it ended well:\n%s", out)
	}
	for _, want := range []string{"needs registry.invalid/envoy:v0, which this machine neither has nor could pull", "hint: run it where a Docker daemon runs", "make setup builds consulecs-agent:local"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}
