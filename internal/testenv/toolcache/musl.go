package toolcache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// MuslImage holds a program that resolves a name by musl, as the applications of small images do, and asks what it leads to for a page: its
// arguments are a host and a port. It prints the address, and the answer as it came.
const MuslImage = "consulecs-musl:local"

// muslPackages are the Debian packages of the library.
var muslPackages = []string{"musl", "musl-dev"}

// muslProgram is written in C, as the resolver under test is a C library's.
const muslProgram = `#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	int failed = argc == 3 ? getaddrinfo(argv[1], argv[2], &hints, &found) : EAI_NONAME;
	if (failed) {
		fprintf(stderr, "resolve: %s\n", gai_strerror(failed));
		return 1;
	}
	char host[64], answer[4096];
	if (getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof host, 0, 0, NI_NUMERICHOST)) return 1;
	printf("%s\n", host);
	fflush(stdout);
	int s = socket(found->ai_family, SOCK_STREAM, 0);
	if (s < 0 || connect(s, found->ai_addr, found->ai_addrlen)) {
		perror("connect");
		return 1;
	}
	dprintf(s, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", argv[1]);
	for (ssize_t n; (n = read(s, answer, sizeof answer)) > 0;)
		if (write(1, answer, n) != n) return 1;
	return 0;
}
`

func (c Cache) muslKey() string {
	release, _ := os.ReadFile("/etc/os-release") // as in baseKey
	return digest(string(release), muslProgram)
}

// bringMusl compiles the program with the library that it takes out of its packages.
func (c Cache) bringMusl(ctx context.Context, h Host) (path string, err error) {
	path = filepath.Join(c.dir("musl", c.muslKey()), "ask")
	return path, c.fill("musl", c.muslKey(), func(tmp string) error {
		root, err := unpackDebs(ctx, h, tmp, muslPackages)
		if err != nil {
			return err
		}
		source := filepath.Join(tmp, "ask.c")
		libraries, err := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-musl"))
		if err != nil || len(libraries) != 1 {
			return fmt.Errorf("packages %v hold the libraries %v (%v), want one", muslPackages, libraries, err)
		}
		at := libraries[0]
		if err := os.WriteFile(source, []byte(muslProgram), 0o644); err != nil {
			return err
		}
		headers := filepath.Join(root, "usr/include", filepath.Base(at))
		_, err = command{}.run(ctx, "cc", "-static", "-nostdinc", "-nostdlib", "-isystem", headers, "-o", filepath.Join(tmp, "ask"), filepath.Join(at, "crt1.o"), source, filepath.Join(at, "libc.a"))
		return errors.Join(err, os.RemoveAll(root))
	})
}

// musl makes the image of the program alone.
func (m images) musl(ctx context.Context, program string) (how string, err error) {
	content, err := fileDigests(program)
	if err != nil {
		return "", err
	}
	return m.ensure(ctx, MuslImage, content, func(labels map[string]string) error {
		root := stream(func(t tarball) error { return t.file("ask", 0o755, program) })
		defer root.Close()
		return m.engine.importImage(ctx, MuslImage, append(labelLines(labels), `ENTRYPOINT ["/ask"]`, "USER 65534:65534"), root)
	})
}
