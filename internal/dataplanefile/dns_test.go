package dataplanefile_test

import (
	"strings"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
)

func TestWhereTheDNSServerListens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ section, want string }{
		"the incumbent's": {`"dnsServer":{"bindAddress":"127.0.0.1","bindPort":8600}`, "127.0.0.1:8600"},
		"default address": {`"dnsServer":{"bindPort":8600}`, "127.0.0.1:8600"},
		"IPv6":            {`"dnsServer":{"bindAddress":"::1","bindPort":53}`, "[::1]:53"},
		"any port":        {`"dnsServer":{"bindAddress":"127.0.0.2","bindPort":0}`, "127.0.0.2:0"},
		"off":             {`"dnsServer":{"bindAddress":"127.0.0.1","bindPort":-1}`, ""},
		"no port":         {`"dnsServer":{"bindAddress":"127.0.0.1"}`, ""},
		"no section":      {`"mode":"sidecar"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := dataplanefile.Read(file(t, valid(c.section)))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if addr, on := f.DNS(); on {
				got = addr.String()
			}
			if got != c.want || strings.Contains(strings.Join(f.Remarks, " "), "dnsServer") {
				t.Errorf("got %q and remarks %q, want %q", got, f.Remarks, c.want)
			}
		})
	}
}

func TestABadDNSServerIsRefused(t *testing.T) {
	t.Parallel()
	for section, want := range map[string]string{
		`"dnsServer":{"bindPort":70000}`:                        "dnsServer.bindPort: 70000, want -1 to 65535",
		`"dnsServer":{"bindAddress":"0.0.0.0","bindPort":8600}`: `dnsServer.bindAddress: "0.0.0.0", want a loopback IP address`,
	} {
		if _, err := dataplanefile.Read(file(t, valid(section))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", section, err, want)
		}
	}
}
