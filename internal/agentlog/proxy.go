package agentlog

import (
	"net/url"

	"github.com/hashicorp/go-hclog"
)

// proxyVariables are those by which requests over HTTPS and gRPC go through a proxy; the first that is set counts.
var proxyVariables = []string{"HTTPS_PROXY", "https_proxy"}

// NoteProxy says that requests go through a proxy, where the environment has them do so: it is seldom meant for an injected
// container, and what fails then fails far from its cause. The proxy is told without its user and password.
func NoteProxy(log hclog.Logger, getenv func(string) string) {
	for _, name := range proxyVariables {
		value := getenv(name)
		if value == "" {
			continue
		}
		host := "not a URL"
		if parsed, err := url.Parse(value); err == nil && parsed.Host != "" {
			host = parsed.Host
		} else if parsed, err := url.Parse("http://" + value); err == nil && parsed.Host != "" {
			host = parsed.Host
		}
		without := getenv("NO_PROXY")
		if without == "" {
			without = getenv("no_proxy")
		}
		log.Info("requests to AWS and gRPC to Consul's servers go through a proxy, but for what NO_PROXY excludes", "variable", name, "proxy", host, "no_proxy", without)
		return
	}
}
