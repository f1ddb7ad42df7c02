package hammer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// answerLimit is how long one answer may take.
const answerLimit = 10 * time.Second

// HTTP asks for path with HTTP/1.1 on a connection that stays open. It reads no more of the answer than it must to know
// that it is a whole one with status 200: on a small machine the client's own work is part of every figure.
func HTTP(conn net.Conn, path string) Ask {
	request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, conn.RemoteAddr())
	in := bufio.NewReaderSize(conn, 4096)
	return func() error {
		if err := conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
			return err
		}
		if _, err := conn.Write(request); err != nil {
			return err
		}
		return readAnswer(in)
	}
}

// readAnswer reads one answer with a Content-Length to its end.
func readAnswer(in *bufio.Reader) error {
	status, err := in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("got %q, want status 200", bytes.TrimSpace(status))
	}
	length := -1
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return fmt.Errorf("read Content-Length: %w", err)
			}
		}
	}
	if length < 0 {
		return errors.New("an answer without Content-Length")
	}
	_, err = io.CopyN(io.Discard, in, int64(length))
	return err
}
