package consul

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Consul makes the token of a login that it has got, whether or not somebody still waits for it.
func TestALoginThatIsCutOffLeavesNoToken(t *testing.T) {
	asRole(t, mesh.RolePath, "web")
	moto, err := url.Parse(stage.AWS.URL)
	if err != nil {
		t.Fatal(err)
	}
	front, answered := httputil.NewSingleHostReverseProxy(moto), make(chan struct{}, 10)
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a body that breaks off is moto's to judge
		r.Body = io.NopCloser(bytes.NewReader(body))
		front.ServeHTTP(w, r)
		if strings.Contains(string(body), "Action=GetRole") { // Consul's part of the login: next, it makes the token
			answered <- struct{}{}
		}
	}))
	t.Cleanup(aws.Close)
	s := settings(t, taskOf(t, "cut-off"), func(s *Settings) {
		s.Login.Method, s.Login.STSEndpoint, s.Login.IAMEndpoint = methodAt(t, "cut-off", aws.URL), aws.URL, aws.URL
	})
	for i := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			c, err := Connect(ctx, s, hclog.NewNullLogger())
			if err == nil { // it was in time
				err = c.Close()
			}
			ended <- err
		}()
		<-answered
		time.Sleep(time.Duration(i) * 500 * time.Microsecond) // one of these is the moment
		cancel()
		t.Logf("ended with %v", <-ended)
	}
	time.Sleep(500 * time.Millisecond) // by then Consul has made what nobody waits for
	tokens, _, err := stage.Consul.API.ACL().TokenList(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens {
		if token.AuthMethod == s.Login.Method {
			t.Errorf("token %s is left", token.AccessorID)
		}
	}
}
