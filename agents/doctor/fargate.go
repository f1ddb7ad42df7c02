package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/miekg/dns"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentargs"
	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/resolvconf"
)

// checkTask are the arguments of -fargate.
type checkTask struct {
	on, write, definition         bool
	image, role, logGroup, region string
}

// run does what the arguments of -fargate ask for but the checks themselves. done is false where those are wanted.
func (c checkTask) run(stdout io.Writer) (done bool, err error) {
	switch {
	case !c.on && c != checkTask{}:
		return true, agentargs.Errorf("-write, -definition, -image, -execution-role, -log-group and -region go with -fargate alone")
	case c.write && c.definition:
		return true, agentargs.Errorf("-write and -definition do not go together")
	case c.write:
		return true, resolvconf.Add(resolvconf.Path, loopbackAddress)
	case c.definition && c.image == "":
		return true, agentargs.Errorf("-definition needs -image: the agents' image, as Fargate is to pull it")
	case c.definition && (c.role == "" || c.logGroup == "" || c.region == ""):
		return true, agentargs.Errorf("-definition needs -execution-role, -log-group and -region: Fargate shows what the task has found in its log alone")
	case c.definition:
		text, err := awsjson.MarshalIndent(c.task())
		if err == nil {
			_, err = stdout.Write(text)
		}
		return true, err
	}
	return false, nil
}

// task is the check task. Its containers are those that names need of a mesh task: one that writes as root, and others that must see it and
// do as the dataplane does, without any right. They come one after the other, as two cannot listen at one port.
func (c checkTask) task() *ecs.RegisterTaskDefinitionInput {
	container := func(name, user string, readonly bool, args ...string) ecstypes.ContainerDefinition {
		return ecstypes.ContainerDefinition{
			Name: &name, Image: &c.image, User: &user, Essential: aws.Bool(false), ReadonlyRootFilesystem: &readonly,
			Command: append([]string{Name, "-fargate"}, args...),
			LogConfiguration: &ecstypes.LogConfiguration{LogDriver: ecstypes.LogDriverAwslogs, Options: map[string]string{
				"awslogs-group": c.logGroup, "awslogs-region": c.region, "awslogs-stream-prefix": "check",
			}},
		}
	}
	after := func(name string, condition ecstypes.ContainerCondition) []ecstypes.ContainerDependency {
		return []ecstypes.ContainerDependency{{ContainerName: &name, Condition: condition}}
	}
	write := container("write", "0", false, "-write")
	dataplane := container("dataplane", strconv.Itoa(mesh.UIDDataplane), true)
	dataplane.DependsOn = after("write", ecstypes.ContainerConditionSuccess)
	dataplane.SystemControls = []ecstypes.SystemControl{{Namespace: aws.String(mesh.UnprivilegedPortStart), Value: aws.String("0")}}
	application := container("application", "65534", true)
	application.DependsOn, application.Essential = after("dataplane", ecstypes.ContainerConditionComplete), aws.Bool(true)
	return &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("consulecs-fargate-check"), NetworkMode: ecstypes.NetworkModeAwsvpc, RequiresCompatibilities: []ecstypes.Compatibility{ecstypes.CompatibilityFargate},
		Cpu: aws.String("256"), Memory: aws.String("512"), ExecutionRoleArn: &c.role,
		ContainerDefinitions: []ecstypes.ContainerDefinition{write, dataplane, application},
	}
}

// fargateChecks are what only a task on Fargate can answer. None needs Consul or a configuration.
func fargateChecks() []check {
	return []check{
		{name: "metadata", look: (*facts).lookMetadata},
		{name: "launch-type", needs: []string{"metadata"}, look: (*facts).lookLaunchType},
		{name: "port-start", look: func(*facts, context.Context) Finding { return portStart([]int{mesh.PortNames, mesh.PortResolver}) }},
		{name: "bind-device", look: func(*facts, context.Context) Finding { return bindDevice() }},
		{name: "resolv-conf", look: (*facts).lookShared},
		{name: "names", needs: []string{"port-start", "bind-device", "resolv-conf"}, look: (*facts).lookWholeWay},
	}
}

func (f *facts) lookShared(context.Context) Finding {
	content, err := os.ReadFile(resolvconf.Path)
	if err != nil {
		return failed(err, "")
	}
	return sharedFinding(string(content))
}

// sharedFinding decides whether content has what another container has written.
func sharedFinding(content string) Finding {
	if resolvconf.WithServer(content, loopbackAddress) == content {
		return ok("%s has the line that another container has written: the task's containers share it", resolvconf.Path)
	}
	return fail(resolvconf.Path+" lacks the line that the container with -write has added: each container has a file of its own, or that one has not run",
		"look at the log of the container with -write; if it ended with 0, names do not work here: list the upstreams instead")
}

// nameOfCheck is a name that nobody has but the check, and addressOfCheck what it leads to.
const nameOfCheck = "check.virtual.consul."

var (
	loopbackAddress = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	addressOfCheck  = netip.AddrFrom4([4]byte{127, 64, 0, 2})
)

// lookWholeWay serves a name as a mesh task does, at DNS's port and at HTTP's, and calls it as an application does: by the resolver of the
// system's configuration, and over the loopback device.
func (f *facts) lookWholeWay(ctx context.Context) Finding {
	stop, err := serveName(ctx)
	if err != nil {
		return failed(err, "")
	}
	defer stop()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(nameOfCheck, strconv.Itoa(mesh.PortNames)))
	if err != nil {
		return failed(fmt.Errorf("call %s: %w", nameOfCheck, err), "")
	}
	reached := conn.RemoteAddr()
	if err := conn.Close(); err != nil {
		return failed(err, "")
	}
	return ok("%s leads to %s", nameOfCheck, reached)
}

// serveName listens as the dataplane's name server and as Envoy, until it is told to stop.
func serveName(ctx context.Context) (stop func(), err error) {
	answer := dns.HandlerFunc(func(w dns.ResponseWriter, asked *dns.Msg) {
		reply := new(dns.Msg).SetReply(asked)
		if q := asked.Question; len(q) == 1 && q[0].Qtype == dns.TypeA {
			reply.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: addressOfCheck.AsSlice()}}
		}
		_ = w.WriteMsg(reply) // who asked is gone: it asks again
	})
	at := netip.AddrPortFrom(loopbackAddress, mesh.PortResolver).String()
	datagrams, err := new(net.ListenConfig).ListenPacket(ctx, "udp4", at)
	if err != nil {
		return nil, fmt.Errorf("serve DNS: %w", err)
	}
	streams, err := new(net.ListenConfig).Listen(ctx, "tcp4", at)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serve DNS: %w", err), datagrams.Close())
	}
	listener, err := (&net.ListenConfig{Control: tieToLoopback}).Listen(ctx, "tcp4", netip.AddrPortFrom(netip.IPv4Unspecified(), mesh.PortNames).String())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for names: %w", err), datagrams.Close(), streams.Close())
	}
	servers := []*dns.Server{{PacketConn: datagrams, Handler: answer}, {Listener: streams, Handler: answer}}
	for _, s := range servers {
		ready := make(chan struct{})
		s.NotifyStartedFunc = func() { close(ready) }
		go func() { _ = s.ActivateAndServe() }() // until it is shut down
		select {
		case <-ready:
		case <-time.After(time.Second): // its socket is closed already: whoever asks will find out
		}
	}
	return func() {
		for _, s := range servers {
			_ = s.Shutdown() // it is the program's end
		}
		listener.Close()
	}, nil
}
