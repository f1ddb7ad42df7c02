// Command actor is the container program of the engine's tests. Its arguments are acts, played in their order; while it
// plays, SIGTERM ends it as "term" says and SIGUSR1 turns its health over.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const healthFile = "/tmp/healthy"

var stomach [][]byte

func main() {
	code, linger := 143, time.Duration(0)
	for _, act := range os.Args[1:] {
		verb, arg, _ := strings.Cut(act, "=")
		switch verb {
		case "term": // exit code and delay of the answer to SIGTERM
			n, d, _ := strings.Cut(arg, ",")
			code, _ = strconv.Atoi(n)
			linger, _ = time.ParseDuration(d)
		case "deaf":
			signal.Ignore(syscall.SIGTERM)
		}
	}
	go listen(code, linger)
	for _, act := range os.Args[1:] {
		play(act)
	}
}

func listen(code int, linger time.Duration) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGUSR1)
	if !signal.Ignored(syscall.SIGTERM) {
		signal.Notify(signals, syscall.SIGTERM)
	}
	for s := range signals {
		if s == syscall.SIGTERM {
			time.Sleep(linger)
			os.Exit(code)
		}
		if os.Remove(healthFile) != nil {
			must(os.WriteFile(healthFile, nil, 0o644))
		}
	}
}

func play(act string) {
	verb, arg, _ := strings.Cut(act, "=")
	switch verb {
	case "sleep":
		d, err := time.ParseDuration(arg)
		must(err)
		time.Sleep(d)
	case "exit":
		n, err := strconv.Atoi(arg)
		must(err)
		os.Exit(n)
	case "hold":
		select {}
	case "healthy":
		must(os.WriteFile(healthFile, nil, 0o644))
	case "check":
		_, err := os.Stat(healthFile)
		must(err)
	case "env":
		fmt.Println(os.Getenv(arg))
	case "ids":
		fmt.Println(os.Getuid(), os.Getgid())
	case "cwd":
		dir, err := os.Getwd()
		must(err)
		fmt.Println(dir)
	case "nofile":
		var l syscall.Rlimit
		must(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l))
		fmt.Println(l.Cur, l.Max)
	case "cat":
		raw, err := os.ReadFile(arg)
		must(err)
		os.Stdout.Write(raw)
	case "write":
		path, text, _ := strings.Cut(arg, ":")
		must(os.WriteFile(path, []byte(text), 0o644))
		fmt.Println("written")
	case "try": // as write, but goes on
		if err := os.WriteFile(arg, nil, 0o644); err != nil {
			fmt.Println(err)
		}
	case "eat": // MiB of memory
		n, err := strconv.Atoi(arg)
		must(err)
		for range n {
			meal := make([]byte, 1<<20)
			for i := range meal {
				meal[i] = 1
			}
			stomach = append(stomach, meal)
		}
	case "orphan": // leaves a child to whoever is process 1
		must(exec.Command("/actor", "start", "exit=0").Run())
		time.Sleep(300 * time.Millisecond)
	case "start": // the child, which outlives its parent
		must(exec.Command("/actor", "sleep=100ms").Start())
	case "zombies":
		stats, err := filepath.Glob("/proc/[0-9]*/stat")
		must(err)
		n := 0
		for _, path := range stats {
			if raw, _ := os.ReadFile(path); strings.Contains(string(raw), ") Z ") {
				n++
			}
		}
		fmt.Println("zombies", n, "of", len(stats) > 1)
	case "get": // the URL in the named variable, with a suffix
		name, suffix, _ := strings.Cut(arg, ",")
		resp, err := http.Get(os.Getenv(name) + suffix)
		must(err)
		_, err = io.Copy(os.Stdout, resp.Body)
		must(err)
		fmt.Println()
	case "term", "deaf":
	default:
		must(fmt.Errorf("no act %q", act))
	}
}

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(99)
	}
}
