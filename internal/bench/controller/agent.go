package controllerbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/controllerhttp"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/metrics"
	"github.com/consulecs/terraform-provider-consulecs/internal/process"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/logbuffer"
)

const (
	readyLimit = 2 * time.Minute
	stopLimit  = 15 * time.Second
	lookPause  = 500 * time.Millisecond // between questions for metrics, each of which costs the controller milliseconds
)

// agent is the controller under measurement.
type agent struct {
	*process.Child
	began time.Time
	look  time.Duration // the most that a full look may take
	http  string        // its own HTTP address
	log   *logbuffer.Buffer
}

// lookLimit is the most that a full look of so many tasks may take: the controller lists 200 of them a second.
func lookLimit(tasks int) time.Duration {
	return 2*time.Minute + time.Duration(tasks)*15*time.Millisecond
}

// bootstrap prepares Consul for tasks and for a controller without rights over ACLs.
func (w *world) bootstrap(ctx context.Context) error {
	log := &logbuffer.Buffer{}
	child, err := process.Start(process.Command{
		Path: w.Agent, Stdout: log, Stderr: log,
		Args: []string{
			"bootstrap", "-ecs-cluster", ecsCluster, "-controller-role", controllerRole, "-sts-endpoint", w.aws.url, "-iam-endpoint", w.aws.url,
			"-token-ttl", "24h", "-node-address", selfAddress,
		},
		Env: []string{
			fmt.Sprintf("CONSUL_HTTP_ADDR=http://%s:%d", w.servers[0].Address, w.servers[0].HTTPPort), mesh.VariableToken + "=" + w.servers[0].BootstrapToken,
			"AWS_REGION=" + account.Region,
		},
	})
	if err != nil {
		return err
	}
	select {
	case <-child.Done():
		if err := child.Err(); err != nil {
			return fmt.Errorf("consulecs-agent bootstrap: %w\n%s", err, log.String())
		}
		return nil
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), child.Stop(context.Background(), stopLimit))
	}
}

// startController starts the program that ships, and waits until it says that it is ready.
func (w *world) startController(ctx context.Context) (*agent, error) {
	port, err := freeport.Find("127.0.0.1")
	if err != nil {
		return nil, err
	}
	a := &agent{began: time.Now(), look: lookLimit(w.size), http: fmt.Sprintf("127.0.0.1:%d", port), log: &logbuffer.Buffer{}}
	yes, no := true, false
	cfg := agentconfig.Config{
		BootstrapDir: mesh.BootstrapDir,
		ConsulServers: agentconfig.ConsulServers{
			Hosts: "127.0.0.1", SkipServerWatch: true, Defaults: &agentconfig.ServerDefaults{TLSServerName: frontName, TLS: &no},
			HTTP: &agentconfig.ServerHTTP{HTTPS: &yes, Port: w.front.port}, GRPC: &agentconfig.ServerGRPC{Port: w.servers.last().GRPCPort, TLS: &no},
		},
		Controller: &agentconfig.Controller{
			HTTPAddress: a.http, EventQueueURL: w.aws.queueURL(), AuthMethod: &agentconfig.AuthMethod{STSEndpoint: w.aws.url, IAMEndpoint: w.aws.url},
		},
	}
	if w.Writes > 0 {
		cfg.Controller.MaxWritesPerSecond = &w.Writes
	}
	env := []string{
		"PATH=" + os.Getenv("PATH"), taskmeta.Variable + "=" + w.aws.metadata(), mesh.VariableHTTPSCACert + "=" + w.front.caPEM,
		"AWS_ENDPOINT_URL=" + w.aws.url, "AWS_ACCESS_KEY_ID=" + controllerRole, "AWS_SECRET_ACCESS_KEY=bench", "AWS_REGION=" + account.Region,
	}
	if w.expiring { // it has the rights that bootstrap gave it, and no others
		cfg.Controller.ManageACL = &no
		cfg.ConsulLogin = &agentconfig.ConsulLogin{Enabled: true, STSEndpoint: w.aws.url, IAMEndpoint: w.aws.url}
	} else {
		env = append(env, mesh.VariableToken+"="+w.servers[0].BootstrapToken)
	}
	text, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	a.Child, err = process.Start(process.Command{
		Path: w.Agent, Args: []string{"controller"}, Stdout: a.log, Stderr: a.log, Env: append(env, mesh.ConfigVariable+"="+string(text)),
	})
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
	if _, err := eventually.Seen(ctx, "the controller is ready", readyLimit, a.unready); err != nil {
		return nil, errors.Join(fmt.Errorf("%w; its log ends:\n%s", err, a.tail()), a.end())
	}
	return a, nil
}

// unready asks it what it is not ready for the lack of.
func (a *agent) unready() (missing string, err error) {
	resp, err := http.Get("http://" + a.http + controllerhttp.PathReady)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		missing = "it answers " + resp.Status
	}
	return missing, nil
}

// looks are how many full looks have ended well, and how long they took altogether.
func (a *agent) looks() (n int, took time.Duration, err error) {
	resp, err := http.Get("http://" + a.http + controllerhttp.PathMetrics)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, 0, err
	}
	const metric = metrics.ControllerPrefix + "full_look_duration_seconds_"
	for line := range strings.Lines(string(page)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.HasPrefix(name, metric) || !strings.Contains(name, `result="good"`) {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		switch {
		case err != nil:
			return 0, 0, fmt.Errorf("metric %s: %w", name, err)
		case strings.HasPrefix(name, metric+"count"):
			n = int(number)
		case strings.HasPrefix(name, metric+"sum"):
			took = time.Duration(number * float64(time.Second))
		}
	}
	return n, took, nil
}

// looked waits until so many full looks have ended well.
func (a *agent) looked(ctx context.Context, want int) error {
	_, err := eventually.Seen(ctx, "a full look has ended", a.look, func() (missing string, err error) {
		n, _, err := a.looks()
		if n < want {
			missing = fmt.Sprintf("%d have", n)
			sleep.For(ctx, lookPause)
		}
		return missing, err
	})
	return err
}

// end stops it as ECS does.
func (a *agent) end() error { return a.Stop(context.Background(), stopLimit) }

// tail is the end of its log.
func (a *agent) tail() string {
	text := a.log.String()
	return text[max(0, len(text)-3000):]
}
