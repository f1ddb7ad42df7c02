package controllerbench

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/pki"
)

// front stands before a Consul server's HTTP API with TLS, and counts what a controller asks of it.
type front struct {
	port    int
	caPEM   string
	server  *http.Server
	counted counter

	mu        sync.Mutex
	lastWrite time.Time // when the last write was answered that changed the catalog or tokens
}

// frontName is the name on the front's certificate.
const frontName = "server.dc1.consul"

func startFront(consul *testenv.Consul) (*front, error) {
	authority, err := pki.New("bench")
	if err != nil {
		return nil, err
	}
	leaf, err := authority.Leaf([]string{frontName}, net.IPv4(127, 0, 0, 1))
	if err != nil {
		return nil, err
	}
	certificate, err := tls.X509KeyPair([]byte(leaf.CertPEM), []byte(leaf.KeyPEM))
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &front{caPEM: authority.PEM, port: l.Addr().(*net.TCPAddr).Port}
	behind := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: net.JoinHostPort(consul.Address, strconv.Itoa(consul.HTTPPort))})
	behind.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
	f.server = &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.pass(behind, w, r) }),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}},
		ReadHeaderTimeout: 5 * time.Second,
	}
	go f.server.ServeTLS(l, "", "")
	return f, nil
}

func (f *front) stop() error { return f.server.Close() }

// ids are what stands in paths for one of many.
var ids = regexp.MustCompile(`arn:[^/]*/[^/]+|arn%3A[^/]+|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32}[^/]*`)

// pass hands a request on, and counts it once it is answered.
func (f *front) pass(behind http.Handler, w http.ResponseWriter, r *http.Request) {
	beat, err := isBeat(r)
	if err != nil {
		return // whoever asked has gone
	}
	body := &countedBody{ReadCloser: r.Body}
	r.Body = body
	answer := &countedAnswer{ResponseWriter: w}
	behind.ServeHTTP(answer, r)
	method := r.Method
	switch {
	case r.URL.Query().Has("index"):
		method = longPoll
	case beat:
		method = leaderBeat
	}
	f.counted.count(method+" "+ids.ReplaceAllString(r.URL.Path, "*"), body.n+answer.n)
	if !beat && r.Method != http.MethodGet && !strings.HasPrefix(r.URL.Path, "/v1/session") && !strings.HasPrefix(r.URL.Path, "/v1/kv") {
		f.mu.Lock()
		f.lastWrite = time.Now()
		f.mu.Unlock()
	}
}

// wrote is when the last write was answered.
func (f *front) wrote() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lastWrite
}

// longPoll stands for the method of a query that waits for a change. It is no read to speak of: it costs Consul next to nothing.
const longPoll = "WAIT"

// leaderBeat stands for the method of what keeps the lock, every four seconds, whatever else there is to do.
const leaderBeat = "BEAT"

// isBeat reads whether a request keeps the lock: it renews the session, or is the transaction that writes the key.
func isBeat(r *http.Request) (bool, error) {
	if strings.HasPrefix(r.URL.Path, "/v1/session/renew/") {
		return true, nil
	}
	if r.URL.Path != "/v1/txn" {
		return false, nil
	}
	text, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(text))
	return bytes.Contains(text, []byte(`"Verb":"lock"`)), err
}

// isRead tells the calls that read, isWork those that keep neither a connection nor the lock. A transaction is no read.
func isRead(call string) bool     { return strings.HasPrefix(call, http.MethodGet+" ") }
func isBeatCall(call string) bool { return strings.HasPrefix(call, leaderBeat+" ") }
func isWork(call string) bool     { return !isBeatCall(call) && !strings.HasPrefix(call, longPoll+" ") }

type countedBody struct {
	io.ReadCloser
	n int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	return n, err
}

type countedAnswer struct {
	http.ResponseWriter
	n int64
}

func (a *countedAnswer) Write(p []byte) (int, error) {
	n, err := a.ResponseWriter.Write(p)
	a.n += int64(n)
	return n, err
}

// Unwrap lets long polls be flushed.
func (a *countedAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
