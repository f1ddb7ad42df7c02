// Package localecs is an ECS on one machine: ECS's API over a task engine on Docker. What is not ECS goes to an AWS
// emulator, so that one endpoint URL serves a whole AWS. It is for the demo and the tests, not a product.
//
// The packages below it, in the order one meets them: api speaks ECS's protocol, control keeps the state and schedules
// services (definition, schedule, names and quota are its rules), engine runs tasks, metadata serves them, and eventbus
// tells of them as EventBridge does, in the words of taskevent.
package localecs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/api"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/control"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/eventbus"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/quota"
)

// The defaults of Config.
const (
	DefaultName      = "localecs"
	DefaultRegion    = "us-east-1"
	DefaultAccountID = "123456789012"
)

const (
	stateFile     = "localecs.json"
	portFile      = "port"
	closeTimeout  = 10 * time.Second
	headerTimeout = 10 * time.Second
)

// Config is what a world is made of. Only EmulatorURL and StateDir have to be set.
type Config struct {
	Name        string             // the world's name; label value, and prefix of container and network names
	DockerHost  string             // "" = DOCKER_HOST of the environment
	Subnet      string             // of the tasks' network; "" = the first free /24 of 10.213.0.0/16
	Region      string             // "" = DefaultRegion
	AccountID   string             // "" = DefaultAccountID
	EmulatorURL string             // moto or LocalStack, which answers for everything that is not ECS
	StateDir    string             // made if missing; what is in it survives a restart
	Port        int                // of the API, on the gateway of the tasks' network; 0 = any free one
	Events      *eventbus.Disorder // how task state changes reach the targets of rules; nil = eventbus.DefaultDisorder
	StopOrder   engine.StopOrder   // "" = StopByDependency
	Quotas      bool               // throttle as ECS does
	Logger      hclog.Logger       // nil = silent
}

func (c Config) withDefaults() Config {
	fill := func(s *string, def string) {
		if *s == "" {
			*s = def
		}
	}
	fill(&c.Name, DefaultName)
	fill(&c.Region, DefaultRegion)
	fill(&c.AccountID, DefaultAccountID)
	if c.Events == nil {
		disorder := eventbus.DefaultDisorder()
		c.Events = &disorder
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	return c
}

// Server is a world that runs.
type Server struct {
	// Endpoint is the URL of the local AWS, for this machine and for the tasks.
	Endpoint string
	// Gateway is this machine's address on the tasks' network, and Subnet that network.
	Gateway netip.Addr
	Subnet  netip.Prefix

	control *control.Control
	engine  *engine.Engine
	events  *eventbus.Bus
	quotas  quota.Quotas
	http    *http.Server
	served  chan error
}

// Start brings a world up, or takes over what an earlier one of that name left running. Close ends it.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	emulator, err := url.Parse(cfg.EmulatorURL)
	if err != nil || emulator.Host == "" {
		return nil, fmt.Errorf("start local ECS: emulator URL %q is not of the form http://host:port", cfg.EmulatorURL)
	}
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		return nil, fmt.Errorf("start local ECS: %w", err)
	}
	s := &Server{served: make(chan error, 1)}
	s.quotas.Switch(cfg.Quotas)
	if err := s.assemble(ctx, cfg); err != nil {
		return nil, fmt.Errorf("start local ECS: %w", errors.Join(err, s.Close()))
	}
	listener, err := listen(s.Gateway, cfg)
	if err != nil {
		return nil, fmt.Errorf("start local ECS: %w", errors.Join(err, s.Close()))
	}
	s.Endpoint = "http://" + listener.Addr().String()
	if err := s.engine.Adopt(ctx, s.control.Unfinished()); err != nil {
		return nil, fmt.Errorf("start local ECS: %w", errors.Join(err, listener.Close(), s.Close()))
	}
	s.control.Start()
	s.serve(listener, emulator, cfg.Logger.Named("api"))
	return s, nil
}

// assemble makes the parts and joins them. On an error Close ends those that were made.
func (s *Server) assemble(ctx context.Context, cfg Config) (err error) {
	account := names.Account{Region: cfg.Region, ID: cfg.AccountID}
	s.events = eventbus.New(eventbus.Config{
		EmulatorURL: cfg.EmulatorURL, Account: account, Disorder: *cfg.Events, Logger: cfg.Logger.Named("events"),
	})
	s.control, err = control.New(control.Config{
		Account: account, StateFile: filepath.Join(cfg.StateDir, stateFile), Logger: cfg.Logger.Named("control"), Publish: s.events.Publish,
		Run:     func(t engine.Task) { s.engine.Run(t) },
		Stop:    func(arn string, code ecstypes.TaskStopCode, reason string) { s.engine.Stop(arn, code, reason) },
		SetTags: func(arn string, tags []ecstypes.Tag) { s.engine.SetTags(arn, tags) },
	})
	if err != nil {
		return err
	}
	ec := engineConfig(cfg)
	ec.Changed, ec.APIURL = s.control.Changed, func() string { return s.Endpoint }
	if s.engine, err = engine.New(ctx, ec); err != nil {
		return err
	}
	s.Gateway, s.Subnet = s.engine.Gateway(), s.engine.Subnet()
	return nil
}

func engineConfig(cfg Config) engine.Config {
	return engine.Config{
		World: cfg.Name, DockerHost: cfg.DockerHost, Subnet: cfg.Subnet, Region: cfg.Region, EmulatorURL: cfg.EmulatorURL,
		StopOrder: cfg.StopOrder, Logger: cfg.Logger, Changed: func(engine.Status) {},
	}
}

// listen takes the configured port, or the one that the world had before: the tasks it left running call that one.
func listen(gateway netip.Addr, cfg Config) (net.Listener, error) {
	file, port := filepath.Join(cfg.StateDir, portFile), uint64(cfg.Port)
	if port == 0 {
		if text, err := os.ReadFile(file); err == nil {
			port, _ = strconv.ParseUint(string(text), 10, 16) // an unreadable one is as good as none
		}
	}
	listener, err := net.Listen("tcp", netip.AddrPortFrom(gateway, uint16(port)).String())
	if err != nil && cfg.Port == 0 {
		cfg.Logger.Warn("former port is taken", "port", port, "err", err)
		listener, err = net.Listen("tcp", netip.AddrPortFrom(gateway, 0).String())
	}
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, []byte(strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)), 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

func (s *Server) serve(listener net.Listener, emulator *url.URL, log hclog.Logger) {
	admin := api.Admin(api.Operator{
		Containers: s.engine.Containers, Logs: s.engine.Logs, Kill: s.engine.Kill,
		Exec: s.engine.Exec, Session: s.control.TakeSession,
		TaskARN: s.control.TaskARN, TaskARNs: s.control.TaskARNs,
		StopOrder: s.engine.SetStopOrder, Quotas: s.quotas.Switch, Events: s.events.SetDisorder, EventStats: s.events.Stats,
	}, log)
	s.http = &http.Server{
		Handler: api.New(s.control, emulator, admin, &s.quotas, log), ReadHeaderTimeout: headerTimeout,
		ErrorLog: log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
	go func() { s.served <- s.http.Serve(listener) }()
}

// Failed yields the error that ended the API, should it end by itself.
func (s *Server) Failed() <-chan error { return s.served }

// Close ends the world's servers and saves its state. The tasks go on running; the next Start takes them over.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var errs []error
	if s.http != nil {
		errs = append(errs, s.http.Shutdown(ctx))
	}
	if s.control != nil {
		s.control.Close()
	}
	if s.engine != nil {
		errs = append(errs, s.engine.Close(ctx))
	}
	s.events.Close()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close local ECS: %w", err)
	}
	return nil
}

// Down removes every container, network and volume of the world cfg.Name, and its state. It needs no running server.
func Down(ctx context.Context, cfg Config) error {
	cfg = cfg.withDefaults()
	errs := []error{engine.Down(ctx, engineConfig(cfg))}
	if cfg.StateDir != "" {
		for _, name := range []string{stateFile, portFile} {
			if err := os.Remove(filepath.Join(cfg.StateDir, name)); !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("take local ECS %s down: %w", cfg.Name, err)
	}
	return nil
}
