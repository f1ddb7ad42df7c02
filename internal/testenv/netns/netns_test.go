package netns

import (
	"bufio"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestLocalAddressesAreFoundInTheTableOfRoutes(t *testing.T) {
	t.Parallel()
	const table = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.213.0.0/24 2 0 2
        |-- 10.213.0.2
           /32 host LOCAL
        |-- 10.213.0.25
           /24 link UNICAST
Local:
     |-- 127.0.0.1
        /32 host LOCAL
`
	for address, want := range map[string]bool{"10.213.0.2": true, "127.0.0.1": true, "10.213.0.25": false, "10.213.0.0": false, "0.213.0.2": false, "7.0.0.1": false} {
		if got := local(table, address); got != want {
			t.Errorf("%s: got %t, want %t", address, got, want)
		}
	}
}

func TestANetworkIsFoundByItsAddressAndEntered(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		if os.Getenv("REQUIRE_REAL") == "1" {
			t.Fatal("networks are made and entered by root alone")
		}
		t.Skip("networks are made and entered by root alone")
	}
	const address = "192.0.2.77" // reserved for documentation: only the new network has it
	if n, err := Of(address); err == nil {
		t.Fatal(errors.Join(errors.New("found before it was made"), n.Close()))
	}
	start := exec.CommandContext(t.Context(), "sh", "-c", "ip link set lo up && ip addr add "+address+"/32 dev lo && echo made && exec cat")
	start.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	hold, err := start.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := start.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := start.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = start.Wait() }() // the end of its input ends it
	defer hold.Close()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("said %q: %v", line, err)
	}

	n, err := Of(address)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	var listener net.Listener
	if err := n.Do(func() (err error) { listener, err = net.Listen("tcp", address+":0"); return err }); err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := n.Dial(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if _, err := n.Dial(t.Context(), "tcp", "localhost:80"); err == nil || !strings.Contains(err.Error(), "localhost") {
		t.Errorf("a name was dialled: %v", err)
	}
}
