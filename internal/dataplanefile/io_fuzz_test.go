package dataplanefile_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
)

// FuzzRead wants that what is read can be written, and says the same once it is read again.
func FuzzRead(f *testing.F) {
	all, err := json.Marshal(full())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(all)
	for _, doc := range []string{
		`null`, `{}`, valid(`"envoy":{"shutdownGracePeriodSeconds":110}`), valid(`"dnsServer":{}`), valid(`"telemetry":{"prometheus":{"scrapePath":"a?b?c","retentionTime":1.5e9}}`),
		valid(`"Consul":{"addresses":"exec=a","tls":{"serverName":"a","tlsServerName":"a"}}`), valid(`"xdsServer":{"bindAddress":"::1","bindPort":65535}`),
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		if bytes.Contains(bytes.ToLower(doc), []byte("idpath")) {
			return // names a file to read, which may be any of this machine
		}
		first, err := dataplanefile.Read(file(t, string(doc)))
		if err != nil {
			return
		}
		written, err := json.Marshal(first) // as Write does, which also waits for the disk
		if err != nil {
			t.Fatal(err)
		}
		second, err := dataplanefile.Read(file(t, string(written)))
		if err != nil {
			t.Fatalf("read what was written, %s: %v", written, err)
		}
		if len(second.Remarks) > 0 {
			t.Errorf("remarks about what we wrote: %v", second.Remarks)
		}
		if diff := cmp.Diff(first, second, cmpopts.IgnoreFields(dataplanefile.File{}, "Remarks"), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-first +second):\n%s", diff)
		}
	})
}
