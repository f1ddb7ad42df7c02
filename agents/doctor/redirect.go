package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/redirect"
	"github.com/consulecs/terraform-provider-consulecs/internal/resolvconf"
)

func notTransparent() Finding { return notAsked("transparentProxy.enabled is not true") }

func (f *facts) lookUser(context.Context) Finding {
	if !f.cfg.RedirectsTraffic() {
		return notTransparent()
	}
	return userFinding(os.Getuid(), os.Getgid(), f.cfg.TransparentProxySettings().ExcludeUIDs)
}

// userFinding tells whether the doctor's own connections go where it sends them, or into the proxy as the application's do.
func userFinding(uid, gid int, excluded []string) Finding {
	found := fmt.Sprintf("user %d, group %d", uid, gid)
	if uid == mesh.UIDDataplane || uid == mesh.UIDHealthSync || gid == mesh.UIDMeshInit || slices.Contains(excluded, strconv.Itoa(uid)) {
		return ok("%s: past the redirection", found)
	}
	return warn(found+": once traffic is redirected, what is found of the servers is seen through the proxy",
		fmt.Sprintf("run the doctor as user %d, or as 0:%d to look at the rules too", mesh.UIDHealthSync, mesh.UIDMeshInit))
}

// capNetAdmin is the number of the capability CAP_NET_ADMIN.
const capNetAdmin = 12

// hasNetAdmin reads a process's status, as in /proc/self/status.
func hasNetAdmin(status string) (bool, error) {
	for line := range strings.Lines(status) {
		if value, found := strings.CutPrefix(line, "CapEff:"); found {
			set, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
			return set&(1<<capNetAdmin) != 0, err
		}
	}
	return false, errors.New("the process's status does not tell its capabilities")
}

func (f *facts) lookNetAdmin(context.Context) Finding {
	if !f.cfg.RedirectsTraffic() {
		return notTransparent()
	}
	status, err := os.ReadFile("/proc/self/status")
	if err == nil {
		f.netAdmin, err = hasNetAdmin(string(status))
	}
	if err != nil {
		return failed(err, "")
	}
	return netAdminFinding(f.netAdmin, f.meshInit())
}

// initLife is what has become of mesh-init, which does the redirection.
type initLife int

const (
	initUnknown initLife = iota // not ended, or nobody knows
	initDone
	initFailed
)

func (f *facts) meshInit() initLife {
	if f.task == nil {
		return initUnknown
	}
	c, _ := f.task.Container(mesh.ContainerMeshInit)
	switch {
	case !ended(c) || c.ExitCode == nil:
		return initUnknown
	case *c.ExitCode == 0:
		return initDone
	}
	return initFailed
}

// netAdminFinding judges whether traffic can be redirected: by this container, or by what mesh-init came to in its own.
func netAdminFinding(here bool, meshInit initLife) Finding {
	const fix = `give the container consul-ecs-mesh-init user 0 and linuxParameters.capabilities.add = ["NET_ADMIN"]`
	switch {
	case here:
		return ok("this container has the capability")
	case meshInit == initDone:
		return ok("not in this container; mesh-init had it, as it has redirected the traffic")
	case meshInit == initFailed:
		return fail("not in this container, and mesh-init has failed", fix+"; its log says whether that was it")
	}
	return warn("not in this container; whether mesh-init has it will show once it has run", fix)
}

func (f *facts) lookIptables(context.Context) Finding {
	if !f.cfg.RedirectsTraffic() {
		return notTransparent()
	}
	version, err := redirect.Program()
	if err != nil {
		return failed(err, "use the agents' image, which has iptables")
	}
	return ok("iptables %s", version)
}

func (f *facts) lookRules(ctx context.Context) Finding {
	switch {
	case !f.cfg.RedirectsTraffic():
		return notTransparent()
	case !f.netAdmin:
		return notAsked("they can be read with the capability NET_ADMIN only, which this container does not have")
	case f.conn == nil || f.registration == nil:
		return skip("needs login: the rules follow from Consul's central configuration too")
	}
	var central redirect.Central
	var err error
	central.OutboundPort, central.Config, err = f.conn.CentralProxy(ctx, *f.registration)
	if errors.Is(err, consul.ErrUnregistered) {
		return skip("needs registration: the rules follow from the registered proxy")
	} else if err != nil {
		return failed(err, "")
	}
	spec, err := redirect.SpecOf(f.cfg, central)
	if err != nil {
		return failed(err, "correct the proxy's configuration in Consul's proxy-defaults or service-defaults")
	}
	return rulesFinding(verify(ctx, spec), f.meshInit())
}

// verify waits for iptables, which obeys no context, for as long as ctx allows.
func verify(ctx context.Context, spec redirect.Spec) error {
	done := make(chan error, 1)
	go func() { done <- redirect.Verify(spec.Tables()) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func rulesFinding(err error, meshInit initLife) Finding {
	switch {
	case err == nil:
		return ok("as the configuration asks for")
	case meshInit == initUnknown:
		return skip("needs mesh-init: %v", err)
	}
	return failed(err, "see mesh-init's log; run mesh-init again, which mends the rules")
}

const noNames = "neither transparentProxy.consulDNS.enabled nor names.enabled is true"

func (f *facts) lookResolver(context.Context) Finding {
	if !f.cfg.ResolvesNames() && !f.cfg.CallsByName() {
		return notAsked(noNames)
	}
	content, err := os.ReadFile(resolvconf.Path)
	if err != nil {
		return failed(err, "")
	}
	return resolverFinding(string(content), f.meshInit())
}

// resolverFinding decides whether a resolver that reads content asks Consul first.
func resolverFinding(content string, meshInit initLife) Finding {
	switch {
	case resolvconf.WithServer(content, loopbackAddress) == content:
		return ok("%s asks %s first", resolvconf.Path, loopbackAddress)
	case meshInit == initUnknown:
		return skip("needs mesh-init, which adds the name server")
	}
	return fail(fmt.Sprintf("%s does not name %s first", resolvconf.Path, loopbackAddress),
		"see mesh-init's log: its container needs user 0 and a root file system that can be written; the container of the doctor must not have dnsServers of its own")
}
