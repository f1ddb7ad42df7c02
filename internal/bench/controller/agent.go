package controllerbench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/process"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
)

const (
	readyLimit = 2 * time.Minute
	stopLimit  = 15 * time.Second
)

// agent is the controller under measurement.
type agent struct {
	*process.Child
	http string // its own HTTP address
	log  *output
}

// startController starts the program that ships, and waits until it says that it is ready.
func (w *world) startController(ctx context.Context) (*agent, error) {
	port, err := freeport.Find("127.0.0.1")
	if err != nil {
		return nil, err
	}
	a := &agent{http: fmt.Sprintf("127.0.0.1:%d", port), log: &output{}}
	yes, no := true, false
	cfg, err := json.Marshal(agentconfig.Config{
		BootstrapDir: mesh.BootstrapDir,
		ConsulServers: agentconfig.ConsulServers{
			Hosts: "127.0.0.1", SkipServerWatch: true, Defaults: &agentconfig.ServerDefaults{TLSServerName: frontName, TLS: &no},
			HTTP: &agentconfig.ServerHTTP{HTTPS: &yes, Port: w.front.port}, GRPC: &agentconfig.ServerGRPC{Port: w.servers.last().GRPCPort, TLS: &no},
		},
		Controller: &agentconfig.Controller{
			HTTPAddress: a.http, EventQueueURL: w.aws.queueURL(),
			ManageACL:  new(!w.expiring),
			AuthMethod: &agentconfig.AuthMethod{STSEndpoint: w.aws.url, IAMEndpoint: w.aws.url},
		},
	})
	if err != nil {
		return nil, err
	}
	a.Child, err = process.Start(process.Command{Path: w.Agent, Args: []string{"controller"}, Stdout: a.log, Stderr: a.log, Env: []string{
		"PATH=" + os.Getenv("PATH"), mesh.ConfigVariable + "=" + string(cfg), taskmeta.Variable + "=" + w.aws.metadata(),
		mesh.VariableToken + "=" + w.servers[0].BootstrapToken, mesh.VariableHTTPSCACert + "=" + w.front.caPEM,
		"AWS_ENDPOINT_URL=" + w.aws.url, "AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench", "AWS_REGION=" + account.Region,
	}})
	if err != nil {
		return nil, err
	}
	ctx, ended := context.WithCancelCause(ctx)
	defer ended(nil)
	go func() { // a controller that has ended is not waited for
		select {
		case <-a.Done():
			ended(a.Err())
		case <-ctx.Done():
		}
	}()
	if err := until(ctx, "the controller is ready", readyLimit, func() (bool, error) { return a.ready() }); err != nil {
		return nil, errors.Join(fmt.Errorf("%w; its log ends:\n%s", err, a.log.tail()), a.end())
	}
	return a, nil
}

// ready asks it, and reads its log where it does not answer: an older one has no HTTP address.
func (a *agent) ready() (bool, error) {
	resp, err := http.Get("http://" + a.http + "/readyz")
	if err != nil {
		return strings.Contains(a.log.String(), "controller ready"), err
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK, fmt.Errorf("GET /readyz: %s", resp.Status)
}

// end stops it as ECS does.
func (a *agent) end() error { return a.Stop(context.Background(), stopLimit) }

// output keeps what a program says.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write is of an io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) tail() string {
	text := o.String()
	return text[max(0, len(text)-3000):]
}
