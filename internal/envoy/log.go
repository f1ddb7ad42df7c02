package envoy

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
)

// logFormat is how Envoy writes a line: its time, level and component, and what it says, escaped as in JSON, so that it is one
// line.
const logFormat = "%Y-%m-%dT%T.%e%z [%l] envoy.%n(%t) %j"

var logLine = regexp.MustCompile(`^\S+ \[([a-z]+)\] envoy\.([a-z_0-9]+)\([0-9]+\) (.*)$`)

// levels are Envoy's, as the agents call them.
var levels = map[string]hclog.Level{
	"trace": hclog.Trace, "debug": hclog.Debug, "info": hclog.Info, "warning": hclog.Warn, "error": hclog.Error, "critical": hclog.Error,
}

// Log says what Envoy prints once more, by the levels and in the form of an agent's log: one parser reads the container's, and
// one search finds what is wrong.
type Log struct {
	to       hclog.Logger
	names    map[string]hclog.Logger // by component
	rest     []byte                  // a line that has not ended
	ending   atomic.Bool
	expected []string
}

// NewLog is for the log of an agent's. What holds one of the texts of expected is what the agent itself has brought about: it
// is said at debug.
func NewLog(to hclog.Logger, expected ...string) *Log {
	return &Log{to: to, names: map[string]hclog.Logger{}, expected: expected}
}

// atTheEnd is in what Envoy warns of when it is told to end.
var atTheEnd = []string{"caught ENVOY_SIGTERM", "gRPC config stream"}

// ExpectEnd says that Envoy is about to be told to end.
func (l *Log) ExpectEnd() { l.ending.Store(true) }

// Write takes what Envoy prints. One goroutine calls it.
func (l *Log) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, after, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		l.say(strings.TrimRight(string(line), "\r"))
		l.rest = append(l.rest[:0], after...)
	}
}

func (l *Log) say(line string) {
	parts := logLine.FindStringSubmatch(line)
	switch {
	case line == "":
		return
	case parts == nil: // from before its log, or after
		l.to.Warn(line)
		return
	}
	level, component, text := levels[parts[1]], parts[2], parts[3]
	var plain string
	if json.Unmarshal([]byte(`"`+text+`"`), &plain) == nil {
		text = strings.TrimSpace(plain)
	}
	if level == hclog.Warn && l.wanted(text) {
		level = hclog.Debug
	}
	log := l.names[component]
	if log == nil {
		log = l.to.Named(component)
		l.names[component] = log
	}
	log.Log(level, text)
}

// wanted reports whether the agent itself has brought about what the text tells.
func (l *Log) wanted(text string) bool {
	within := func(part string) bool { return strings.Contains(text, part) }
	return slices.ContainsFunc(l.expected, within) || l.ending.Load() && slices.ContainsFunc(atTheEnd, within)
}
