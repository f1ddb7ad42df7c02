package agentlog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
)

func TestLinesAreTextOrJSON(t *testing.T) {
	t.Parallel()
	var text, object bytes.Buffer
	agentlog.New("x", "", false, &text).Info("done", "service_id", "web-1")
	if got := text.String(); !strings.Contains(got, "[INFO]  x: done: service_id=web-1\n") {
		t.Errorf("text: %q", got)
	}
	agentlog.New("x", "", true, &object).Info("done", "service_id", "web-1")
	var line map[string]any
	if err := json.Unmarshal(object.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if line["@module"] != "x" || line["@message"] != "done" || line["service_id"] != "web-1" {
		t.Errorf("JSON: %v", line)
	}
}

func TestTheLevelIsTheConfigurations(t *testing.T) {
	t.Parallel()
	for level, want := range map[string][]bool{ // debug, info, warn
		"": {false, true, true}, "DEBUG": {true, true, true}, "WARN": {false, false, true}, "nonsense": {false, true, true},
	} {
		log := agentlog.New("x", level, false, &bytes.Buffer{})
		if diff := cmp.Diff(want, []bool{log.IsDebug(), log.IsInfo(), log.IsWarn()}); diff != "" {
			t.Errorf("level %q: %s", level, diff)
		}
	}
}

func TestALibraryIsQuieterThanItsAgent(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := agentlog.New("x", "INFO", false, &out)
	agentlog.Quieter(log, "lib").Info("chatter")
	agentlog.Quieter(log, "lib").Warn("trouble")
	if got := out.String(); strings.Contains(got, "chatter") || !strings.Contains(got, "x.lib: trouble") || !log.IsInfo() {
		t.Errorf("the log holds %q, the agent's own is at info: %v", got, log.IsInfo())
	}
}

func TestALibrarysErrorIsAWarning(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	lib := agentlog.Quieter(agentlog.New("x", "INFO", false, &out), "lib")
	for _, log := range []hclog.Logger{lib, lib.With("k", "v"), lib.Named("sub"), lib.ResetNamed("other")} {
		log.Error("lost a server", "err", "EOF")
		log.Log(hclog.Error, "lost another")
		log.Log(hclog.Info, "chatter")
	}
	if got := out.String(); strings.Contains(got, "[ERROR]") || strings.Count(got, "[WARN]") != 8 || strings.Contains(got, "chatter") {
		t.Errorf("the log holds\n%s", got)
	}
	lib.SetLevel(hclog.Off)
	before := out.Len()
	if lib.Error("late"); out.Len() != before {
		t.Error("it is not off")
	}
}

func TestAHintIsAFieldOfItsOwn(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]any{"err", "a: b", "hint", "do c"}, agentlog.Fields(errors.New("a: b\nhint: do c"))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]any{"err", "a: b"}, agentlog.Fields(errors.New("a: b"))); diff != "" {
		t.Error(diff)
	}
}

func TestAProxyIsToldWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		env  map[string]string
		want string // "" for nothing
	}{
		"none":           {nil, ""},
		"with password":  {map[string]string{"HTTPS_PROXY": "http://user:secret@proxy.internal:3128", "NO_PROXY": "10.0.0.0/8"}, "variable=HTTPS_PROXY proxy=proxy.internal:3128 no_proxy=10.0.0.0/8"},
		"lower case":     {map[string]string{"https_proxy": "http://proxy.internal:3128"}, "variable=https_proxy proxy=proxy.internal:3128"},
		"without scheme": {map[string]string{"HTTPS_PROXY": "user:secret@proxy.internal:3128"}, "proxy=proxy.internal:3128"},
		"plain alone":    {map[string]string{"HTTP_PROXY": "http://proxy.internal:3128"}, ""},
	} {
		var out bytes.Buffer
		agentlog.NoteProxy(agentlog.New("x", "", false, &out), func(key string) string { return tc.env[key] })
		got := out.String()
		if !strings.Contains(got, tc.want) || (got == "") != (tc.want == "") || strings.Contains(got, "secret") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
