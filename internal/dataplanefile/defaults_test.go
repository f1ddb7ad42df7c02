package dataplanefile_test

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
)

// documented is a key of the settings page, with what it says that the default is.
var documented = regexp.MustCompile("(?m)^\\| `([A-Za-z.]+)` \\| (?:string|integer|bool)[^|]* \\|.*?\\bdefault:? (-?[0-9][^ ,;|]*|true|false|/[a-z_]+)")

func TestTheDocumentedDefaultsAreThoseInForce(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/templates/guides/settings.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "## The dataplane's file")
	f, err := dataplanefile.Read(file(t, `{"consul":{"addresses":"consul.internal","credentials":{}},"proxy":{"id":"p"},"dnsServer":{},"telemetry":{"prometheus":{}},"locality":{"http":{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	// Those are in force where they are read, since absent is not the same as any number.
	if _, on := f.DNS(); on {
		t.Error("dnsServer.bindPort: somebody listens by default")
	}
	absent := map[string]string{"dnsServer.bindPort": "-1", "telemetry.useCentralConfig": "true", "dnsServer.bindAddress": "127.0.0.1"}
	found := documented.FindAllStringSubmatch(table, -1)
	if len(found) < 15 {
		t.Fatalf("the page tells %d defaults: %v", len(found), found)
	}
	for _, row := range found {
		key, said := row[1], row[2]
		got := fmt.Sprint(at(reflect.ValueOf(f), strings.Split(key, ".")))
		if got != said && absent[key] != said {
			t.Errorf("%s: the page says that the default is %s, and it is %s", key, said, got)
		}
	}
}

// at is the value at the path of JSON keys.
func at(v reflect.Value, keys []string) any {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	if len(keys) == 0 {
		return v.Interface()
	}
	for i := range v.NumField() {
		if key, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ","); key == keys[0] {
			return at(v.Field(i), keys[1:])
		}
	}
	return "not a key"
}

func TestADrainTimeOfZeroStays(t *testing.T) {
	t.Parallel()
	f, err := dataplanefile.Read(file(t, `{"consul":{"addresses":"consul.internal"},"proxy":{"id":"p"},"envoy":{"drainTimeSeconds":0}}`))
	if err != nil || *f.Envoy.DrainTimeSeconds != 0 {
		t.Errorf("read as %v (%v)", f.Envoy.DrainTimeSeconds, err)
	}
}
