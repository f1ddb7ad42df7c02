package agentconfig_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
)

func TestHostsAreAddressesNamesACommandOrTags(t *testing.T) {
	t.Parallel()
	for hosts, want := range map[string]agentconfig.Hosts{
		"10.0.0.1":                                           {Names: []string{"10.0.0.1"}},
		"2001:db8::1":                                        {Names: []string{"2001:db8::1"}},
		"consul.example.com.":                                {Names: []string{"consul.example.com."}},
		"10.0.0.1, consul.example ,2001:db8::1":              {Names: []string{"10.0.0.1", "consul.example", "2001:db8::1"}},
		"exec=discover -q addrs provider=aws":                {Command: "discover -q addrs provider=aws"},
		"exec=discover addrs provider=gce project_name=p":    {Command: "discover addrs provider=gce project_name=p"},
		"provider=aws tag_key=consul tag_value=server":       {AutoJoin: "provider=aws tag_key=consul tag_value=server"},
		" tag_key=consul  provider=aws\ttag_value=\"a=b\"\n": {AutoJoin: `tag_key=consul provider=aws tag_value="a=b"`},
		"provider=aws tag_key=k tag_value=v service=ecs addr_type=private_v4 region=eu-west-1 ecs_cluster=c ecs_family=f endpoint=http://x": {
			AutoJoin: "provider=aws tag_key=k tag_value=v service=ecs addr_type=private_v4 region=eu-west-1 ecs_cluster=c ecs_family=f endpoint=http://x",
		},
	} {
		t.Run(hosts, func(t *testing.T) {
			t.Parallel()
			got, err := agentconfig.ParseHosts(hosts)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHostsThatNobodyCanFindAreRefused(t *testing.T) {
	t.Parallel()
	const tags = " tag_key=k tag_value=v"
	for hosts, want := range map[string]string{
		"exec=":                             "has no command after exec=",
		"exec=  ":                           "has no command after exec=",
		"exec=sh -c exec=x":                 "has exec= inside",
		"h,":                                `is "h,", want an IP address, a DNS name, several of them`,
		"h, h2:8500":                        `"h2:8500" has a port: give the host alone`,
		"10.0.0.1:8503":                     `"10.0.0.1:8503" has a port`,
		"a b":                               `is "a b", want`,
		"provider=gce" + tags:               "has provider=gce, want aws",
		"provider=aws":                      "lacks tag_key: ",
		"provider=aws tag_key=k":            "lacks tag_value: ",
		"provider=aws tag_key k":            `has "tag_key" where key=value is wanted`,
		"provider=aws tag_value= ":          `has "tag_value" where key=value is wanted`,
		"provider=aws tag_key=a=b":          `has a value of tag_key that wants double quotes, as in tag_key="a=b"`,
		"provider=aws tagkey=k":             `has unknown key "tagkey", want some of provider, region`,
		"provider=aws tag_key=k tag_key=k2": "has tag_key twice",
		"provider=aws addr_type=private_v6" + tags:            "has addr_type=private_v6, want private_v4 or public_v4 or public_v6",
		"provider=aws service=lambda" + tags:                  "has service=lambda, want ec2 or ecs",
		"provider=aws secret_access_key=very+secret" + tags:   "has secret_access_key: secrets do not belong into the configuration",
		`provider=aws tag_key=k tag_value="exec=x"`:           "has exec= inside",
		"provider=aws tag_key=k tag_value=\"unbalanced=quote": "has a value of tag_value that wants double quotes",
	} {
		t.Run(hosts, func(t *testing.T) {
			t.Parallel()
			cfg := agentconfig.Config{BootstrapDir: "/consul", ConsulServers: agentconfig.ConsulServers{Hosts: hosts}}
			text, err := agentconfig.Marshal(cfg)
			if err != nil {
				t.Fatal(err)
			}
			_, err = agentconfig.Parse(text)
			if err == nil || !strings.Contains(err.Error(), "consulServers.hosts: "+want) || strings.Contains(err.Error(), "very+secret") {
				t.Errorf("got %v, want consulServers.hosts: %s, and no secret", err, want)
			}
		})
	}
}

func TestHostsAreFoundByACommand(t *testing.T) {
	t.Parallel()
	for hosts, want := range map[string]string{
		"provider=aws tag_key=k tag_value=v": "exec=discover -q addrs provider=aws tag_key=k tag_value=v",
		"10.0.0.1, consul.example":           "exec=discover -q hosts 10.0.0.1,consul.example",
	} {
		parsed, err := agentconfig.ParseHosts(hosts)
		if err != nil {
			t.Fatal(err)
		}
		if got := parsed.Exec(agentconfig.DiscoverProgram); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
