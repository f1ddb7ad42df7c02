package dataplanefile_test

import (
	"strings"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
)

func TestALocalityIsChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"nothing":        {`{}`, ""},
		"everything":     {`{"region":"r","zone":"a","address":"10.0.1.1","spill":"full","zones":{"10.0.1.0/24":"a"},"http":{"port":8500,"tlsDisabled":true}}`, ""},
		"another spill":  {`{"spill":"some"}`, `locality.spill: "some", want gradual or full`},
		"junk":           {`{"zones":{"junk":"a"}}`, `locality.zones: "junk" want a CIDR block`},
		"no zone":        {`{"zones":{"10.0.1.0/24":""}}`, `locality.zones: the zone of "10.0.1.0/24" is empty`},
		"a blank zone":   {`{"zones":{"10.0.1.0/24":"\t "}}`, `locality.zones: the zone of "10.0.1.0/24" is empty`},
		"blanks around":  {`{"zones":{"10.0.1.0/24":" a"}}`, `locality.zones: the zone of "10.0.1.0/24" is " a", want it without the blanks around it: "a"`},
		"a port too far": {`{"http":{"port":70000}}`, "locality.http.port: 70000, want 1 to 65535"},
	} {
		f, err := dataplanefile.Read(file(t, `{"consul":{"addresses":"consul.internal"},"proxy":{"id":"p"},"furtherProxies":[{"id":"q"}],"locality":`+c.text+`}`))
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		case err == nil && f.Each()[1].Locality == nil:
			t.Errorf("%s: a further proxy prefers no zone", name)
		}
	}
}
