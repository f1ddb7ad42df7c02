// Package agentlog makes the loggers of the agents: hclog lines on one writer, as text or as JSON objects.
package agentlog

import (
	"io"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// New makes the logger of the agent name. level is one of agentconfig's; an empty or unknown one means INFO.
func New(name, level string, json bool, w io.Writer) hclog.Logger {
	l := hclog.LevelFromString(level)
	if l == hclog.NoLevel {
		l = hclog.Info
	}
	return hclog.New(&hclog.LoggerOptions{Name: name, Level: l, Output: w, JSONFormat: json, IndependentLevels: true})
}

// Fields are the key-value pairs of an error. A hint in its text, on a line of its own, is a pair of its own.
func Fields(err error) []any {
	text, hint, found := strings.Cut(err.Error(), "\nhint: ")
	if found {
		return []any{"err", text, "hint", hint}
	}
	return []any{"err", text}
}

// Quieter is log for a library that takes Info for what operators do not care about: unless log is at Debug, it says
// only warnings and worse.
func Quieter(log hclog.Logger, name string) hclog.Logger {
	sub := log.Named(name)
	if !log.IsDebug() {
		sub.SetLevel(hclog.Warn)
	}
	return sub
}
