package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
)

// TestMeshInitTellsTheDataplaneOfItsZone: the dataplane finds out where others are, and knows by that where it is itself.
func TestMeshInitTellsTheDataplaneOfItsZone(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	networks := map[string]string{"10.9.0.0/24": "a"}
	http := &dataplanefile.HTTP{Port: stage.Consul.HTTPPort, ServerName: stage.Consul.ServerName}
	for name, tc := range map[string]struct {
		cfg  *agentconfig.Locality
		want *dataplanefile.Locality
	}{
		"not said":  {nil, nil},
		"off":       {&agentconfig.Locality{PreferZone: &no}, nil},
		"on":        {&agentconfig.Locality{PreferZone: &yes}, &dataplanefile.Locality{Region: "us-east-1", Zone: "us-east-1a", Address: "10.9.0.7", Spill: "gradual", HTTP: http}},
		"all of it": {&agentconfig.Locality{PreferZone: &yes, Spill: "full", Zones: networks}, &dataplanefile.Locality{Region: "us-east-1", Zone: "us-east-1a", Address: "10.9.0.7", Spill: "full", Zones: networks, HTTP: http}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlayer(t)
			p.cfg.Locality = tc.cfg
			p.start(t, "mesh-init").exits(t, 0, 60*time.Second)
			file, err := dataplanefile.Read(p.file(dataplanefile.Name))
			if err != nil {
				t.Fatal(err)
			}
			if got := file.Locality; got != nil && got.HTTP != nil {
				ca := got.HTTP.CACertsPath
				if got.HTTP.CACertsPath = ""; ca != p.file("consul-https-ca-cert.pem") {
					t.Errorf("the CA of the HTTP API is in %q", ca)
				}
			}
			if diff := cmp.Diff(tc.want, file.Locality); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestTheDoctorTellsWhatItSeesOfZones looks with the token of the task, which is that of a service.
func TestTheDoctorTellsWhatItSeesOfZones(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	prefers := true
	p.cfg.Locality = &agentconfig.Locality{PreferZone: &prefers}
	found, code := p.seeDoctor(t)
	want := finding{Check: "zones", Status: "ok", Found: "zone us-east-1a: of 1 tasks of the ECS cluster 1 are in it, 0 in others"}
	if diff := cmp.Diff(want, found["zones"]); diff != "" || code != 0 {
		t.Errorf("exit code %d (-want +got):\n%s", code, diff)
	}
}
