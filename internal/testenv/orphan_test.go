package testenv_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

// holdVariable makes this test binary start Consul, print where, and wait to be killed.
const holdVariable = "TESTENV_HOLD_CONSUL"

func TestMain(m *testing.M) {
	if os.Getenv(holdVariable) == "" {
		os.Exit(m.Run())
	}
	c, err := testenv.StartConsul(context.Background(), testenv.ConsulConfig{Plaintext: true})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(net.JoinHostPort(c.Address, strconv.Itoa(c.HTTPPort)))
	select {}
}

func TestServersDieWithTheProcessThatStartedThem(t *testing.T) {
	t.Parallel()
	holder := exec.Command(os.Args[0])
	holder.Env = append(os.Environ(), holdVariable+"=1", "TMPDIR="+t.TempDir())
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	address = strings.TrimSpace(address)
	if err := holder.Process.Kill(); err != nil {
		t.Error(err)
	}
	if exit := holder.Wait(); err != nil || strings.HasPrefix(address, "error") {
		t.Fatalf("the holder did not start Consul: %q, %v, %v", address, err, exit)
	}
	eventually.True(t, "nobody listens any more at "+address, eventually.Soon, func() bool {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
}
