package release_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/consulecs/terraform-provider-consulecs/agents/release"
	"github.com/consulecs/terraform-provider-consulecs/internal/controllerhttp"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
)

func TestTheControllerOfTheConfigurationIsAsked(t *testing.T) {
	t.Parallel()
	s, err := controllerhttp.Serve(t.Context(), "127.0.0.1:0", controllerhttp.Controller{
		Health: func() error { return nil }, Ready: func() controllerhttp.Readiness { return controllerhttp.Readiness{} },
		Release: func(context.Context) (int, error) { return 60, nil },
		Metrics: prometheus.NewRegistry(), Log: hclog.NewNullLogger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{s.Address.String(): "", freeport.Loopback(t).String(): "connection refused"} {
		getenv := func(name string) string {
			if name != mesh.ConfigVariable {
				return ""
			}
			return fmt.Sprintf(`{"bootstrapDir":"/consul","consulServers":{"hosts":"h"},"controller":{"httpAddress":%q}}`, address)
		}
		var stdout bytes.Buffer
		err := release.Run(t.Context(), getenv, nil, &stdout, nil)
		if want == "" && (err != nil || stdout.String() != "released what 60 tasks left behind\n") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("at %s: %v, printed %q", address, err, &stdout)
		}
	}
}
