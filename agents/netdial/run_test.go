package netdial_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/agents/netdial"
)

// full listens but accepts nobody any more: connections to it neither come about nor are refused.
func full(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for range 10_000 {
		conn, err := net.DialTimeout("tcp", l.Addr().String(), 200*time.Millisecond)
		if err != nil {
			return l.Addr().String()
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("the backlog does not fill")
	return ""
}

func TestDial(t *testing.T) {
	t.Parallel()
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { open.Close() })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, tc := range map[string]struct {
		args []string
		code int // 0: no error
		want string
	}{
		"a listener":      {[]string{open.Addr().String()}, 0, ""},
		"nobody":          {[]string{closed.Addr().String()}, 2, "connection refused"},
		"no argument":     {nil, 1, "0 arguments, want one: host:port"},
		"two arguments":   {[]string{"127.0.0.1:1", "x"}, 1, "2 arguments, want one: host:port"},
		"no port":         {[]string{"127.0.0.1"}, 1, `"127.0.0.1" is not host:port`},
		"an unknown flag": {[]string{"-wait", "1s", "127.0.0.1:1"}, 1, "flag provided but not defined"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, tc.args, tc.code, tc.want)
		})
	}
}

func TestADialEndsInTime(t *testing.T) {
	t.Parallel()
	addr := full(t)
	began := time.Now()
	check(t, []string{"-timeout", "300ms", addr}, 2, "i/o timeout")
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("took %s", took)
	}
}

func check(t *testing.T, args []string, code int, want string) {
	t.Helper()
	var stderr bytes.Buffer
	err := netdial.Run(t.Context(), os.Getenv, args, &stderr, &stderr)
	got := 0
	var coded interface{ ExitCode() int }
	switch {
	case errors.As(err, &coded):
		got = coded.ExitCode()
	case err != nil:
		got = 1
	}
	if got != code || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("exit code %d, want %d; error %v, want %q", got, code, err, want)
	}
}
