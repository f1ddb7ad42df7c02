package toolcache

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// repository is the root of this repository, as the tests of this package see it.
const repository = "../../.."

func releaseDockerfile(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheReleasesImageHasTheEnvoyThatIsTested(t *testing.T) {
	t.Parallel()
	want := "ARG ENVOY=docker.io/envoyproxy/envoy:v" + newCache(t).Pins.Envoy.Version + "\n"
	if !strings.Contains(releaseDockerfile(t), want) {
		t.Errorf("the Dockerfile has no line %q", want)
	}
}

func TestBothBasesHaveTheSharedFolderAndTheOtherProgramsNames(t *testing.T) {
	t.Parallel()
	head, _, _ := strings.Cut(releaseDockerfile(t), agentPart)
	for _, want := range []string{fmt.Sprintf("install -d -m %o /consul", volumeMode), "for name in consul-ecs consul-dataplane discover;"} {
		if !strings.Contains(head, want) {
			t.Errorf("the Dockerfile does not say %q before %q", want, strings.TrimSpace(agentPart))
		}
	}
}

func TestADockerfileWithoutTheCommonPartIsRefused(t *testing.T) {
	t.Parallel()
	if text, err := localDockerfile("FROM scratch\n"); err == nil || !strings.Contains(err.Error(), "ARG TARGETPLATFORM") {
		t.Errorf("%q, %v", text, err)
	}
}

// The tests of whole worlds run the image; here it is told what a task definition that says nothing gets of it.
// It is not parallel: the test of images sweeps those without a name, and a build has such on its way.
func TestTheAgentsImageIsRunByTheLeastUser(t *testing.T) {
	m := images{engine: newEngine(daemonSocket(t)), repo: repository}
	if base, err := m.engine.inspect(t.Context(), BaseImage); err != nil || base.ID == "" {
		t.Fatalf("no image %s: %v\nhint: run make setup", BaseImage, err)
	}
	dockerfile, err := localDockerfile(releaseDockerfile(t))
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "consulecs-agent")
	writeFile(t, binary, "stands in for the program")
	name := fmt.Sprintf("consulecs-toolcache-test:agent-%d", os.Getpid())
	args := map[string]string{"BASE": BaseImage, "TARGETPLATFORM": "local"}
	err = m.engine.build(t.Context(), name, args, nil, stream(func(w tarball) error { return agentContext(w, dockerfile, binary) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.engine.remove(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	resp, err := m.engine.do(t.Context(), http.MethodGet, "/images/"+name+"/json", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct {
		Config struct {
			User       string
			Entrypoint []string
			Volumes    map[string]struct{}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if told := fmt.Sprint(got.Config); told != "{5996:5996 [/bin/consulecs-agent] map[/consul:{}]}" {
		t.Errorf("the image says %s", told)
	}
}
