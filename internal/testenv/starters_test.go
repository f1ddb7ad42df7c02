package testenv_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

func TestConsulDeniesByDefaultAndServesTLS(t *testing.T) {
	t.Parallel()
	c := testenv.ConsulDuring(t, testenv.ConsulConfig{})
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(c.CAPEM)) {
		t.Fatal("CAPEM holds no certificate")
	}
	for what, port := range map[string]int{"HTTPS": c.HTTPPort, "gRPC": c.GRPCPort} {
		address := net.JoinHostPort(c.Address, strconv.Itoa(port))
		conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: c.ServerName, NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			t.Errorf("%s at %s: %v", what, address, err)
			continue
		}
		conn.Close()
	}
	if nodes, _, err := c.API.Catalog().Nodes(nil); err != nil || len(nodes) != 1 {
		t.Errorf("with the bootstrap token: %d nodes, %v; want the server", len(nodes), err)
	}
	_, _, err := c.API.ACL().TokenList((&api.QueryOptions{Token: "anonymous"}).WithContext(t.Context()))
	if status := (api.StatusError{}); !errors.As(err, &status) || status.Code != 403 {
		t.Errorf("with a wrong token: %v, want 403", err)
	}
}

func TestConsulKeepsItsTokenOffTheDisk(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	const token = "3c0e7a86-7b1f-4e60-9f5d-1d0c8b2a4e11"
	c := testenv.ConsulDuring(t, testenv.ConsulConfig{Plaintext: true, BootstrapToken: token})
	if self, _, err := c.API.ACL().TokenReadSelf(nil); err != nil || self.SecretID != token {
		t.Fatalf("the bootstrap token is not the one that was given: %v", err)
	}
	err := filepath.WalkDir(os.TempDir(), func(name string, d fs.DirEntry, err error) error {
		// raft's own store has to hold it: that is where Consul keeps tokens.
		if err != nil || !d.Type().IsRegular() || strings.Contains(name, "/raft/") {
			return err
		}
		content, err := os.ReadFile(name)
		if strings.Contains(string(content), token) {
			t.Errorf("%s holds the token", name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestConsulComesBackWithItsDataAfterAKill(t *testing.T) {
	t.Parallel()
	c := testenv.ConsulDuring(t, testenv.ConsulConfig{})
	if _, err := c.API.KV().Put(&api.KVPair{Key: "kept", Value: []byte("yes")}, nil); err != nil {
		t.Fatal(err)
	}
	c.Kill()
	if _, err := c.API.Status().Leader(); err == nil {
		t.Error("a killed server answers")
	}
	if err := c.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if pair, _, err := c.API.KV().Get("kept", nil); err != nil || pair == nil || string(pair.Value) != "yes" {
		t.Errorf("after the restart: %v, %v", pair, err)
	}
}

func TestFrozenConsulAnswersAgainWhenThawed(t *testing.T) {
	t.Parallel()
	c := testenv.ConsulDuring(t, testenv.ConsulConfig{})
	if err := c.Freeze(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, _, err := c.API.KV().Get("any", (&api.QueryOptions{}).WithContext(short)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while frozen: %v, want no answer", err)
	}
	if err := c.Thaw(); err != nil {
		t.Fatal(err)
	}
	long, cancelLong := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancelLong()
	if _, _, err := c.API.KV().Get("any", (&api.QueryOptions{}).WithContext(long)); err != nil {
		t.Errorf("thawed: %v", err)
	}
}

func TestConsulThatCannotStartTellsItsLog(t *testing.T) {
	t.Parallel()
	// 192.0.2.1 is reserved for documentation: no machine has it.
	c, err := testenv.StartConsul(t.Context(), testenv.ConsulConfig{Address: "192.0.2.1"})
	if err == nil {
		t.Fatal(errors.Join(errors.New("it started"), c.Stop()))
	}
	if !strings.Contains(err.Error(), "192.0.2.1") {
		t.Errorf("got %v, want the address", err)
	}
}

// What one call changes is no concern of another that lists all there is: AWS has no such trouble, either.
func TestMotoListsWhatOthersChangeMeanwhile(t *testing.T) {
	t.Parallel()
	moto, err := testenv.StartMoto(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = moto.Stop() })
	roles := iam.New(iam.Options{
		Region: "us-east-1", BaseEndpoint: &moto.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), Retryer: aws.NopRetryer{},
	})
	create := func(name string) error {
		_, err := roles.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String("{}")})
		return err
	}
	for i := range 100 { // so that a walk takes a while
		if err := create(fmt.Sprintf("stays-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for who := range 4 {
		all.Go(func() {
			for i := range 25 {
				if err := create(fmt.Sprintf("comes-%d-%d", who, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 10 {
		if _, err := roles.GetAccountAuthorizationDetails(t.Context(), &iam.GetAccountAuthorizationDetailsInput{}); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
}
