package netns

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
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

// networkVariable makes this program give its network the address in it, say so, and stay until its input ends.
const networkVariable = "NETNS_TEST_ADDRESS"

func TestMain(m *testing.M) {
	if address := os.Getenv(networkVariable); address != "" {
		if err := network(netip.MustParseAddr(address)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("made")
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	os.Exit(m.Run())
}

// network gives the loopback interface an address besides its own.
func network(address netip.Addr) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, name := range []string{"lo", "lo:1"} {
		request, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		if name == "lo" {
			request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
			err = unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
		} else if err = request.SetInet4Addr(address.AsSlice()); err == nil {
			err = unix.IoctlIfreq(fd, unix.SIOCSIFADDR, request)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func TestANetworkIsFoundByItsAddressAndEntered(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can enter a network, as the benchmarks do that need it; nothing else does")
	}
	const address = "192.0.2.77" // reserved for documentation: only the new network has it
	if n, err := Of(address); err == nil {
		t.Fatal(errors.Join(errors.New("found before it was made"), n.Close()))
	}
	start := exec.CommandContext(t.Context(), "/proc/self/exe")
	start.Env = append(os.Environ(), networkVariable+"="+address)
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
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "made\n" {
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
