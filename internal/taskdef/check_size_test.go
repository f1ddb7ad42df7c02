package taskdef_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

// upstreams are as many as is said, each with the settings that most have.
func upstreams(n int) []agentconfig.Upstream {
	var all []agentconfig.Upstream
	for i := range n {
		all = append(all, agentconfig.Upstream{
			DestinationName: fmt.Sprintf("service-number-%d", i), LocalBindPort: 5000 + i,
			Config: map[string]any{"connect_timeout_ms": 3000, "protocol": "http"},
		})
	}
	return all
}

// ECS takes 64 KiB. Ten containers, as many as it takes, and fifty upstreams leave room for what users put into theirs.
func TestTenContainersAndFiftyUpstreamsAreFarFromTheLimit(t *testing.T) {
	t.Parallel()
	s := valid()
	s.Containers, s.Proxy.Upstreams = containers(7), upstreams(50)
	d, err := taskdef.Build(s)
	if err != nil {
		t.Fatal(err)
	}
	text, err := awsjson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d containers and 50 upstreams: %d bytes", len(d.ContainerDefinitions), len(text))
	if most := 40 << 10; len(text) >= most {
		t.Errorf("%d bytes, want less than %d", len(text), most)
	}
}

func TestADefinitionThatIsTooLargeSaysWhatIsLargeInIt(t *testing.T) {
	t.Parallel()
	s := valid()
	s.Proxy.Upstreams = upstreams(400)
	err := taskdef.Check(s).Err()
	if err == nil || !strings.Contains(err.Error(), "the largest parts are the agents' configuration, which grows with upstreams and their config (") {
		t.Errorf("got %v", err)
	}
}
