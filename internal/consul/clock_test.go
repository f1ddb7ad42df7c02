package consul

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// signatureLife is how far AWS lets the time of a signature be from its own. Some of its services allow more.
const signatureLife = 5 * time.Minute

// clocked is moto behind a front that refuses signatures as AWS does, by a clock that is ahead of ours. moto itself looks
// at no signature.
type clocked struct {
	*httptest.Server
	refused, served atomic.Int64
}

func newClocked(t *testing.T, ahead time.Duration) *clocked {
	t.Helper()
	moto, err := url.Parse(stage.AWS.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := &clocked{}
	front := httputil.NewSingleHostReverseProxy(moto)
	front.ModifyResponse = func(r *http.Response) error {
		r.Header.Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		return nil
	}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := time.Now().Add(ahead).UTC()
		signed, err := time.Parse(amzTime, r.Header.Get("X-Amz-Date"))
		if err == nil && now.Sub(signed).Abs() < signatureLife {
			c.served.Add(1)
			front.ServeHTTP(w, r)
			return
		}
		c.refused.Add(1)
		said := fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - 5 min.)", signed.Format(amzTime), now.Add(-signatureLife).Format(amzTime), now.Format(amzTime))
		if signed.After(now) {
			said = fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + 5 min.)", signed.Format(amzTime), now.Add(signatureLife).Format(amzTime), now.Format(amzTime))
		}
		w.Header().Set("Date", now.Format(http.TimeFormat))
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>%s</Message></Error></ErrorResponse>", said)
	}))
	t.Cleanup(c.Close)
	return c
}

const amzTime = "20060102T150405Z"

// methodAt makes an auth method that asks AWS at the endpoint.
func methodAt(t *testing.T, name, endpoint string) string {
	t.Helper()
	acl := stage.Consul.API.ACL()
	method, _, err := acl.AuthMethodRead(mesh.AuthMethod, nil)
	if err != nil {
		t.Fatal(err)
	}
	method.Name, method.Config["STSEndpoint"], method.Config["IAMEndpoint"] = name, endpoint, endpoint
	if _, _, err := acl.AuthMethodCreate(method, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := acl.BindingRuleCreate(&api.ACLBindingRule{AuthMethod: name, BindType: api.BindingRuleBindTypeService, BindName: "web"}, nil); err != nil {
		t.Fatal(err)
	}
	return name
}

// The SDK corrects the time of its own requests by the answers of AWS. But the requests that a bearer token consists of
// are sent by Consul's servers, and nobody corrects those.
func TestAClockThatIsOffIsNamed(t *testing.T) {
	for name, tc := range map[string]struct {
		ahead time.Duration
		want  []string // in the error; nil: none
	}{
		"a minute":         {time.Minute, nil},
		"ten minutes slow": {10 * time.Minute, []string{"Signature expired", "hint: the clock"}},
		"ten minutes fast": {-10 * time.Minute, []string{"Signature not yet current", "hint: the clock"}},
		"a day slow":       {24 * time.Hour, []string{"Signature expired", "hint: the clock"}},
	} {
		t.Run(name, func(t *testing.T) {
			asRole(t, mesh.RolePath, "web")
			front := newClocked(t, tc.ahead)
			method := methodAt(t, "clock-"+strings.ReplaceAll(name, " ", "-"), front.URL)
			start := time.Now()
			_, err := connect(t, settings(t, taskOf(t, "t1"), func(s *Settings) {
				s.Login.Method, s.Login.STSEndpoint, s.Login.IAMEndpoint = method, front.URL, front.URL
			}), time.Minute)
			t.Logf("%d requests served, %d refused, after %s: %v", front.served.Load(), front.refused.Load(), time.Since(start).Round(time.Millisecond), err)
			if (err == nil) != (tc.want == nil) {
				t.Fatalf("got %v", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
}

func TestTheSDKCorrectsTheTimeOfItsOwnRequests(t *testing.T) {
	asRole(t, mesh.RolePath, "web")
	front := newClocked(t, 10*time.Minute)
	cfg, err := awsapi.Load(t.Context(), awsapi.Config{Region: "us-east-1", Endpoints: map[string]string{awsapi.ServiceSTS: front.URL}})
	if err != nil {
		t.Fatal(err)
	}
	client := awsapi.STS(cfg)
	for range 2 {
		if _, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil {
			t.Fatal(err)
		}
	}
	if served, refused := front.served.Load(), front.refused.Load(); served != 2 || refused != 1 {
		t.Errorf("%d requests served, %d refused; want the first refused once, and the second right from the start", served, refused)
	}
}

// certified listens with a certificate that is good from begin to end, and returns its port and its PEM.
func certified(t *testing.T, begin, end time.Time) (port int, pemText string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{stage.Consul.ServerName}, NotBefore: begin, NotAfter: end,
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().(*net.TCPAddr).Port, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestACertificateOfAnotherTimeIsNamed(t *testing.T) {
	now := time.Now()
	for name, valid := range map[string][2]time.Time{
		"expired":       {now.Add(-2 * time.Hour), now.Add(-time.Hour)},
		"not yet valid": {now.Add(time.Hour), now.Add(2 * time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			asRole(t, mesh.RolePath, "web")
			port, pemText := certified(t, valid[0], valid[1])
			_, err := connect(t, settings(t, taskOf(t, "t1"), func(s *Settings) { s.GRPC.Port, s.GRPCCAPEM = port, pemText }), time.Minute)
			if err == nil || !strings.Contains(err.Error(), "has expired or is not yet valid") || !strings.Contains(err.Error(), "hint: renew the servers' certificates, or set the clock") {
				t.Errorf("got %v, want the certificate's time and what to do", err)
			}
		})
	}
}
