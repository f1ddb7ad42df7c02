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
// only warnings. It has no errors: whether a failure of its is the end is the agent's to say.
func Quieter(log hclog.Logger, name string) hclog.Logger {
	sub := log.Named(name)
	if !log.IsDebug() {
		sub.SetLevel(hclog.Warn)
	}
	return neverAtError{sub}
}

// neverAtError says as a warning what is said at Error.
type neverAtError struct{ hclog.Logger }

// Error warns.
func (l neverAtError) Error(msg string, args ...any) { l.Warn(msg, args...) }

// Log warns where level is Error.
func (l neverAtError) Log(level hclog.Level, msg string, args ...any) {
	l.Logger.Log(min(level, hclog.Warn), msg, args...)
}

// With is the logger with fields.
func (l neverAtError) With(args ...any) hclog.Logger { return neverAtError{l.Logger.With(args...)} }

// Named is the logger under a further name.
func (l neverAtError) Named(name string) hclog.Logger { return neverAtError{l.Logger.Named(name)} }

// ResetNamed is the logger under that name alone.
func (l neverAtError) ResetNamed(name string) hclog.Logger {
	return neverAtError{l.Logger.ResetNamed(name)}
}
