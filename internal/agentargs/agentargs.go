// Package agentargs reads what follows an agent's name on the command line, and says with which code the agent ends.
package agentargs

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

// ExitUsage is the exit code of wrong usage.
const ExitUsage = 2

// WrongUsage is an error in the arguments.
type WrongUsage struct{ error }

// ExitCode is that of a program that ends by it.
func (WrongUsage) ExitCode() int { return ExitUsage }

// ExitCode is that of a program whose agent has ended by err: 0 for none or for help that was given, the error's own where it
// has one, otherwise 1.
func ExitCode(err error) int {
	var coded interface{ ExitCode() int }
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &coded):
		return coded.ExitCode()
	}
	return 1
}

// Errorf says what is wrong with the arguments.
func Errorf(format string, args ...any) error { return WrongUsage{fmt.Errorf(format, args...)} }

// New makes the flags of an agent, which are explained to stderr.
func New(agent string, stderr io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet(agent, flag.ContinueOnError)
	flags.SetOutput(stderr)
	return flags
}

// Parse reads the arguments into flags. Its error is a WrongUsage, or flag.ErrHelp when help was asked for and given.
func Parse(flags *flag.FlagSet, args []string) error {
	err := flags.Parse(args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return err
	}
	return WrongUsage{err}
}

// ParseOnly is Parse for an agent that takes flags alone.
func ParseOnly(flags *flag.FlagSet, args []string) error {
	if err := Parse(flags, args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return Errorf("unexpected argument %q: %s takes flags alone", flags.Arg(0), flags.Name())
	}
	return nil
}
