// Package resolvconf puts a name server at the head of a resolver's configuration, /etc/resolv.conf, and leaves every
// other byte of it alone: search domains, options, sort lists and comments stay. Doing it again changes nothing.
package resolvconf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"syscall"
)

// Path is where resolvers look.
const Path = "/etc/resolv.conf"

const keyword = "nameserver"

// Add puts server at the head of the file's name servers. The file is changed in place, by one write: a task's containers
// share it by mounting it, so it cannot be replaced, and another one would not be theirs.
func Add(path string, server netip.Addr) error {
	if err := add(path, server); errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("add name server: %w\nhint: the container that adds it needs a writable root file system", err)
	} else if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("add name server: %w\nhint: the file is root's: the container that adds it needs user 0", err)
	} else if err != nil {
		return fmt.Errorf("add name server: %w", err)
	}
	return nil
}

// Has reports whether server is the first of the file's name servers.
func Has(path string, server netip.Addr) (bool, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return false, fmt.Errorf("look for name server: %w", err)
	}
	return WithServer(string(content), server) == string(content), nil
}

func add(path string, server netip.Addr) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	before, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	after := WithServer(string(before), server)
	if after == string(before) {
		return nil
	}
	_, err = f.WriteAt([]byte(after), 0) // longer than what was there: nothing has to be cut off
	return err
}

// WithServer is content with server as the first of its name servers. What comes after the resolver's third is of no use
// to most resolvers, but it stays.
func WithServer(content string, server netip.Addr) string {
	line := keyword + " " + server.String() + "\n"
	at := 0
	for existing := range strings.Lines(content) {
		if address, ok := nameServer(existing); ok {
			if address == server.String() && plain(existing) {
				return content
			}
			return content[:at] + line + content[at:]
		}
		at += len(existing)
	}
	if content != "" && !strings.HasSuffix(content, "\n") {
		content += "\n"
	}
	return content + line
}

// plain reports whether every resolver reads the line: its keyword is in the first column, and only spaces and tabs part it.
func plain(line string) bool {
	return strings.HasPrefix(line, keyword) && !strings.ContainsAny(line, "\r\v\f")
}

// nameServer reads a line that names a name server.
func nameServer(line string) (address string, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 2 || fields[0] != keyword {
		return "", false
	}
	return fields[1], true
}
