// Command consulecs-agent is what the containers of a mesh task run, and the controller's: one program, which agent it is
// its first argument says. Each agent's package comment is its manual. It answers to the incumbent's commands too, and
// called consul-dataplane it is the dataplane, called discover the search for servers, so that the incumbent's task
// definitions run with our image.
//
// Exit codes, unless an agent's manual says more: 0 done, 1 it ended by an error, which is the last line of the log,
// 2 wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/consulecs/terraform-provider-consulecs/agents/app"
	"github.com/consulecs/terraform-provider-consulecs/agents/bootstrap"
	"github.com/consulecs/terraform-provider-consulecs/agents/controller"
	"github.com/consulecs/terraform-provider-consulecs/agents/dataplane"
	"github.com/consulecs/terraform-provider-consulecs/agents/discover"
	"github.com/consulecs/terraform-provider-consulecs/agents/doctor"
	"github.com/consulecs/terraform-provider-consulecs/agents/healthsync"
	"github.com/consulecs/terraform-provider-consulecs/agents/hold"
	"github.com/consulecs/terraform-provider-consulecs/agents/meshinit"
	"github.com/consulecs/terraform-provider-consulecs/agents/meshready"
	"github.com/consulecs/terraform-provider-consulecs/agents/netdial"
	"github.com/consulecs/terraform-provider-consulecs/agents/passing"
	"github.com/consulecs/terraform-provider-consulecs/agents/ready"
	"github.com/consulecs/terraform-provider-consulecs/agents/release"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentargs"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/process"
)

// version is set by the linker.
var version = "dev"

const (
	exitOK    = 0
	exitUsage = agentargs.ExitUsage
)

// officialDataplane is the program of the official dataplane image, by whose name the incumbent's definitions call it.
const officialDataplane = "consul-dataplane"

// agent is one thing that the program can be.
type agent struct {
	name, does string
	alias      string // the incumbent's name for it, "" if none or the same
	manual     string // for --help: what it reads and when it ends
	flags      bool   // it takes arguments of its own
	wraps      bool   // it runs a command, to which the process's signals and its exit code belong
	plain      bool   // another program reads its errors: they are printed as they are
	run        func(ctx context.Context, getenv func(string) string, args []string, stdout, stderr io.Writer) error
}

const (
	noArguments = "It takes no arguments. "
	readsConfig = "It reads CONSUL_ECS_CONFIG_JSON, ECS_CONTAINER_METADATA_URI_V4, CONSUL_HTTP_TOKEN,\n" +
		"CONSUL_GRPC_CACERT_PEM, CONSUL_HTTPS_CACERT_PEM and what the AWS SDK reads.\n"
	exitCodes    = "Exit codes: 0 done, 1 error (the log's last line), 2 wrong usage.\n"
	wrapperCodes = "Exit codes: the command's, 128 and the number of the signal that ended it, 1 if it could not be started,\n" +
		"2 wrong usage.\n"
)

// agents is the dispatch table.
func agents() []agent { return append(taskAgents(), controllerAgents()...) }

// taskAgents are what the containers of a mesh task run, in the order of its life, and what is asked in them.
func taskAgents() []agent {
	return []agent{
		{
			name: meshinit.Name, does: "registers the task's service and proxy, and configures its dataplane",
			manual: readsConfig + "It ends once the task is registered, within seconds; after two minutes without Consul it gives up.\n" + exitCodes,
			flags:  true, run: meshinit.Run,
		},
		{
			name: dataplane.Name, does: "runs Envoy for the task, proxies its configuration and drains it in the end",
			manual: "It runs until SIGTERM, then until the application's containers have stopped and Envoy has drained.\n" + exitCodes,
			flags:  true, run: dataplane.Run,
		},
		{
			name: meshready.Name, does: "ends once the proxy serves, so that the application may start",
			manual: exitCodes,
			flags:  true, run: meshready.Run,
		},
		{
			name: ready.Name, does: "tells once whether the proxy serves: the dataplane container's health check",
			manual: exitCodes,
			flags:  true, run: ready.Run,
		},
		{
			name: healthsync.Name, does: "keeps Consul told how the task's containers are, and deregisters it in the end",
			manual: noArguments + readsConfig + "It runs until SIGTERM, then until the dataplane's container has stopped.\n" + exitCodes,
			run:    healthsync.Run,
		},
		{
			name: passing.Name, does: "ends once Consul has the task as passing: the health-sync container's health check",
			manual: exitCodes,
			flags:  true, run: passing.Run,
		},
		{
			name: app.Name, alias: app.Alias, does: "runs the application's command and lets it serve on for a while after SIGTERM",
			manual: wrapperCodes,
			flags:  true, wraps: true, run: app.Run,
		},
		{
			name: hold.Name, does: "runs a dataplane that does not wait for the application by itself",
			manual: wrapperCodes,
			flags:  true, wraps: true, run: hold.Run,
		},
		{
			name: netdial.Name, does: "tells once whether something listens at host:port",
			manual: "Exit codes: 0 something does, 2 nothing does, 1 wrong arguments.\n",
			flags:  true, run: netdial.Run,
		},
		{
			name: discover.Name, does: "prints the addresses of Consul's servers, for exec=discover in consulServers.hosts",
			manual: "Exit codes: 0 it has found some, 1 none (stderr says why), 2 wrong usage.\n",
			flags:  true, plain: true, run: discover.Run,
		},
		{
			name: doctor.Name, does: "looks for what keeps the task out of the mesh, and says how to mend it",
			manual: readsConfig + "It changes nothing, and ends within -timeout. With -fargate it needs none of that.\n" +
				"Exit codes: 0 no check failed, 1 one did or SIGTERM came, 2 wrong usage.\n",
			flags: true, run: doctor.Run,
		},
	}
}

// controllerAgents are the controller, and what operators have beside it.
func controllerAgents() []agent {
	return []agent{
		{
			name: controller.Name, does: "prepares Consul for an ECS cluster's tasks and cleans up after dead ones",
			manual: noArguments + readsConfig + "It runs until SIGTERM.\n" + exitCodes,
			run:    controller.Agent{Version: version}.Run,
		},
		{
			name: controller.InspectName, does: "prints what a controller sees, and what it would do and why",
			manual: readsConfig + "It changes nothing, and ends after one look. Run it in the task of a controller.\n" + exitCodes,
			flags:  true, run: controller.Agent{Version: version}.Inspect,
		},
		{
			name: bootstrap.Name, does: "prepares Consul for a mesh once, so that no controller may write ACLs",
			manual: "It reads CONSUL_HTTP_TOKEN and what else Consul's own command reads, or CONSUL_ECS_CONFIG_JSON.\n" +
				"It ends once Consul is prepared, within -timeout.\n" + exitCodes,
			flags: true, run: bootstrap.Run,
		},
		{
			name: release.Name, does: "lets the controller of its container remove what the brake holds back",
			manual: noArguments + "It reads CONSUL_ECS_CONFIG_JSON, as the controller's container has it.\n" + exitCodes,
			run:    release.Run,
		},
	}
}

// find is the agent that the arguments name.
func find(args []string) (agent, bool) {
	for _, a := range agents() {
		if len(args) > 0 && args[0] != "" && (a.name == args[0] || a.alias == args[0]) {
			return a, true
		}
	}
	return agent{}, false
}

// arguments are those of the command line. Called by the name of the official dataplane's program or of go-discover's,
// this one is it.
func arguments(argv []string) []string {
	switch filepath.Base(argv[0]) {
	case officialDataplane:
		return append([]string{dataplane.Name}, argv[1:]...)
	case discover.Name:
		return append([]string{discover.Name}, argv[1:]...)
	}
	return argv[1:]
}

func main() {
	args := arguments(os.Args)
	ctx, stop := context.Background(), func() {}
	if a, _ := find(args); !a.wraps { // else no signal may end anywhere but in the command
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
		context.AfterFunc(ctx, stop) // a second signal ends the program at once, unless the agent has a use for it
	}
	code := dispatch(ctx, os.Getenv, args, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// dispatch runs the agent that the arguments name and tells its outcome as an exit code.
func dispatch(ctx context.Context, getenv func(string) string, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage())
		return exitUsage
	}
	switch args[0] {
	case "-h", "-help", "--help", "help":
		fmt.Fprint(stdout, usage())
		return exitOK
	case "version", "-version", "--version":
		fmt.Fprintf(stdout, "consulecs-agent %s\n", version)
		return exitOK
	}
	if a, found := find(args); found {
		return a.start(ctx, getenv, args[1:], stdout, stderr)
	}
	fmt.Fprintf(stderr, "unknown agent %q\n\n%s", args[0], usage())
	return exitUsage
}

func (a agent) start(ctx context.Context, getenv func(string) string, args []string, stdout, stderr io.Writer) int {
	help := len(args) == 1 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help")
	switch {
	case help:
		fmt.Fprintf(stdout, "Usage: consulecs-agent %s\n\nThis agent %s.\n%s", a.name, a.does, a.manual)
		if !a.flags {
			return exitOK
		}
		stderr = stdout // the flags are told by the agent itself
	case len(args) > 0 && !a.flags:
		fmt.Fprintf(stderr, "unexpected argument %q: %s takes none\n", args[0], a.name)
		return exitUsage
	}
	err := a.run(ctx, getenv, args, stdout, stderr)
	var ended *process.ExitError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, doctor.ErrFound): // its report has said it
	case a.wraps && errors.As(err, &ended): // the command has said what there is to say
	default:
		a.tell(err, getenv, stderr)
	}
	return agentargs.ExitCode(err)
}

// tell says why the agent has ended.
func (a agent) tell(err error, getenv func(string) string, stderr io.Writer) {
	if a.plain {
		fmt.Fprintln(stderr, err)
		return
	}
	cfg, _ := agentenv.Load(getenv) // its error, if any, is err; here it only tells the form of the log
	agentlog.New(a.name, cfg.LogLevel, cfg.LogJSON, stderr).Error("agent ended", agentlog.Fields(err)...)
}

func usage() string {
	var b strings.Builder
	b.WriteString("Usage: consulecs-agent AGENT\n\nThe agents of a Consul service mesh on ECS:\n\n")
	for _, a := range agents() {
		fmt.Fprintf(&b, "  %-12s  %s\n", a.name, a.does)
	}
	b.WriteString("  version       prints the version\n\nconsulecs-agent AGENT --help says more.\n")
	return b.String()
}
