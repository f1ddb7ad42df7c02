package discover_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/agents/discover"
)

func TestNamesAreLookedUp(t *testing.T) {
	t.Parallel()
	for names, want := range map[string]string{
		"10.0.0.1":                 "10.0.0.1",
		"10.0.0.1,2001:db8::1":     "10.0.0.1 2001:db8::1",
		"10.0.0.1,servers.invalid": "10.0.0.1",
		"10.0.0.1 fe80::1%eth0":    "10.0.0.1 fe80::1%eth0", // as arguments of their own
		"servers.invalid,10.0.0.3": "10.0.0.3",
	} {
		t.Run(names, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			err := discover.Run(t.Context(), nil, append([]string{"-q", "hosts"}, strings.Fields(names)...), &stdout, &stderr)
			if err != nil || !strings.HasSuffix(stdout.String(), want+"\n") {
				t.Errorf("printed %q (%v), want %q", &stdout, err, want)
			}
		})
	}
}

func TestASearchThatCannotSucceedSaysWhy(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]struct {
		text string
		code int // 1 unless set
	}{
		"":                             {`"", want addrs or hosts`, 2},
		"members":                      {`"members", want addrs or hosts`, 2},
		"-v addrs":                     {"flag provided but not defined", 2},
		"addrs":                        {"provider=: want aws", 2},
		"addrs provider=gce":           {"provider=gce: want aws, the one that this program has\nhint: another one takes go-discover's own program", 2},
		"addrs provider=aws tag_key":   {`argument "tag_key" is not key=value`, 2},
		"hosts":                        {`"" is no list`, 2},
		"hosts exec=ls":                {`"exec=ls" is no list`, 2},
		"hosts a.invalid,b.invalid":    {"lookup a.invalid", 0},
		"-q hosts a.invalid b.invalid": {"lookup b.invalid", 0},
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			err := discover.Run(t.Context(), nil, strings.Fields(args), &stdout, &stderr)
			if err == nil || !strings.Contains(err.Error(), want.text) || stdout.Len() > 0 {
				t.Fatalf("got %v and %q, want %q", err, &stdout, want.text)
			}
			var coded interface{ ExitCode() int }
			if got := errors.As(err, &coded); got != (want.code == 2) || got && coded.ExitCode() != 2 {
				t.Errorf("%v: wrong usage %v", err, got)
			}
		})
	}
}
