package consul

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// logins makes tokens by logging in, with an auth method that needs no AWS.
type logins struct {
	client *api.Client
	method string
	key    *ecdsa.PrivateKey
}

// newLogins makes the auth method and its binding rule.
func newLogins(t testing.TB, client *api.Client, method string) logins {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = client.ACL().AuthMethodCreate(&api.ACLAuthMethod{Name: method, Type: "jwt", Config: map[string]any{
		"JWTValidationPubKeys": []string{publicKey(t, key)}, "ClaimMappings": map[string]string{"service": "service"},
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rule := &api.ACLBindingRule{AuthMethod: method, BindType: api.BindingRuleBindTypeService, BindName: "${value.service}"}
	if _, _, err := client.ACL().BindingRuleCreate(rule, nil); err != nil {
		t.Fatal(err)
	}
	return logins{client, method, key}
}

func publicKey(t testing.TB, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// bearer is a JSON web token for the service.
func (l logins) bearer(service string) (string, error) {
	part := func(v any) string {
		text, _ := json.Marshal(v) // of maps of texts and numbers
		return base64.RawURLEncoding.EncodeToString(text)
	}
	now := time.Now()
	text := part(map[string]string{"alg": "ES256"}) + "." + part(map[string]any{
		"service": service, "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, l.key, digest[:])
	if err != nil {
		return "", err
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)), nil
}

// token logs the task of the ECS cluster in, as the service.
func (l logins) token(service, taskID, ecsClusterARN string) (LoginToken, error) {
	bearer, err := l.bearer(service)
	if err != nil {
		return LoginToken{}, err
	}
	token, _, err := l.client.ACL().Login(&api.ACLLoginParams{AuthMethod: l.method, BearerToken: bearer, Meta: map[string]string{
		mesh.LoginMetaTaskID: taskID, mesh.LoginMetaCluster: ecsClusterARN,
	}}, nil)
	if err != nil {
		return LoginToken{}, fmt.Errorf("log in as %s: %w", service, err)
	}
	return LoginToken{AccessorID: token.AccessorID, TaskID: taskID}, nil
}
