package doctor

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
	"github.com/consulecs/terraform-provider-consulecs/internal/zones"
)

// lookLogin connects as the agents do. It goes on for a moment after SIGTERM: a login that is cut off half way may leave a
// token that nobody knows of.
func (f *facts) lookLogin(ctx context.Context) Finding {
	settings, why, err := f.logsIn()
	if err != nil {
		return failed(err, "")
	}
	if settings.Login != nil && f.task == nil {
		return skip("needs metadata: the token's description names the task")
	}
	deadline, _ := ctx.Deadline()
	limited, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	defer cancel()
	began := time.Now()
	f.conn, err = consul.Attempt(limited, settings, f.log)
	if err != nil {
		return failed(err, "see the log of Consul's servers")
	}
	took := time.Since(began).Round(time.Millisecond)
	switch {
	case settings.Login != nil:
		return ok("by auth method %s in %s, token %s", settings.Login.Method, took, f.conn.AccessorID())
	case settings.Token != "":
		return ok("%s; Consul knows the token", why)
	}
	return ok("%s; Consul takes calls without a token", why)
}

// logOut ends the login of lookLogin.
func (f *facts) logOut() Finding {
	accessor := f.conn.AccessorID()
	err := f.conn.Close()
	found := ok("token %s is gone", accessor)
	switch {
	case err != nil:
		found = warn(err.Error(), "the controller removes the token when the task has ended")
	case accessor == "":
		found = notAsked("nobody logged in")
	}
	found.Check = "logout"
	return found.oneLine()
}

func (f *facts) lookFeatures(ctx context.Context) Finding {
	features, err := f.conn.Features(ctx)
	if err != nil {
		return failed(err, "use Consul 1.14 or newer")
	}
	return ok("%s", strings.Join(features, ", "))
}

func (f *facts) lookNode(ctx context.Context) Finding {
	there, err := f.conn.HasNode(ctx, f.task.ClusterARN)
	switch {
	case err != nil:
		return failed(err, "see the log of Consul's servers")
	case !there:
		return fail("the catalog has no node "+f.task.ClusterARN, "run the controller of the ECS cluster: it makes the node at its start")
	}
	return ok("%s", f.task.ClusterARN)
}

func (f *facts) lookPermissions(ctx context.Context) Finding {
	refused, err := f.conn.MayRegister(ctx, *f.registration)
	if err != nil {
		return warn("Consul does not say: "+err.Error(), "see whether mesh-init registers the task, and what its log says")
	}
	return permissionsFinding(refused, *f.registration, f.settings.Token != "")
}

// permissionsFinding decides whether a token that is refused the names can register the task.
func permissionsFinding(refused []string, r consul.Registration, static bool) Finding {
	if len(refused) == 0 {
		var names []string
		for _, p := range r.Pairs() {
			names = append(names, p.ServiceName, p.ProxyName)
		}
		return ok("service:write on %s", strings.Join(names, " and "))
	}
	fix := "the tag " + mesh.RoleTagServiceName + " of the task role must be the name of the service"
	if !slices.Contains(refused, r.ServiceName) { // it is a further service that is refused
		fix = "each further service needs a tag of the task role, " + mesh.RoleTagOfService(1) + " and so on, and a binding rule for it: update the controller, or run consulecs-agent bootstrap of this version again"
	}
	if static {
		fix = fmt.Sprintf("give the token in %s a service identity of %s, or service:write on %[2]s and %[3]s", mesh.VariableToken, r.ServiceName, r.ProxyName)
	}
	return fail("the token has no service:write on "+strings.Join(refused, " and "), fix)
}

func (f *facts) lookRegistration(ctx context.Context) Finding {
	checks, complete, err := f.conn.Lookup(ctx, *f.registration)
	if err != nil {
		return failed(err, "see the log of Consul's servers")
	}
	return registrationFinding(*f.registration, checks, complete, f.task.Task)
}

// registrationFinding decides whether what the catalog has of a task is what it should have by now.
func registrationFinding(r consul.Registration, checks map[string]consul.Check, complete bool, task taskmeta.Task) Finding {
	syncs, _ := task.Container(mesh.ContainerHealthSync)
	switch init, there := task.Container(mesh.ContainerMeshInit); {
	case complete:
	case syncs.Running():
		return fail(fmt.Sprintf("the catalog lacks %s, its proxy or a check", r.ServiceID), "health-sync registers it again within half a minute, unless its log says why not")
	case there && ended(init) && init.ExitCode != nil && *init.ExitCode != 0:
		return fail(fmt.Sprintf("%s is not registered, and %s ended with exit code %d", r.ServiceID, mesh.ContainerMeshInit, *init.ExitCode), "its log says why, and the other findings here")
	case there && ended(init):
		return fail(r.ServiceID+" is not registered, though mesh-init has been here", "see the logs of the mesh's containers and of the controller")
	default:
		return skip("needs mesh-init: nothing is registered yet")
	}
	var critical []string
	for _, id := range slices.Sorted(maps.Keys(checks)) {
		if c := checks[id]; c.Status != consul.Passing {
			critical = append(critical, fmt.Sprintf("check %s is %s: %s", id, c.Status, c.Output))
		}
	}
	if len(critical) == 0 {
		return ok("%s and its proxy are registered, %d checks pass", r.ServiceID, len(checks))
	}
	found := fmt.Sprintf("%s is registered, but %s", r.ServiceID, strings.Join(critical, "; "))
	for _, c := range r.Checks {
		if container, there := task.Container(c.Container); there && container.Health == taskmeta.Unhealthy {
			return fail(found, fmt.Sprintf("ECS has container %s as UNHEALTHY: see its log and its health check", c.Container))
		}
	}
	if container, there := task.Container(mesh.ContainerHealthSync); there && ended(container) {
		return fail(found, mesh.ContainerHealthSync+" has ended: its log says why")
	}
	return warn(found, "a task that has just started gets there by itself; else see what the check names")
}

// lookZones tells what a dataplane sees that prefers its zone.
func (f *facts) lookZones(ctx context.Context) Finding {
	if !f.cfg.PrefersZone() {
		return notAsked("no zone is preferred")
	}
	networks, err := zones.ParseNetworks(f.cfg.LocalitySettings().Zones)
	if err != nil {
		return failed(fmt.Errorf("locality.zones: %w", err), "give each network as a CIDR block, and its zone")
	}
	own := zones.Locality{Zone: f.task.AvailabilityZone}
	if at, ok := networks.Of(f.task.Address); ok {
		own = at
	}
	places, err := f.conn.PlacesOnNode(ctx, f.task.ClusterARN)
	return zonesFinding(own, networks, places, err)
}

// zonesFinding decides whether there is a zone to prefer, and tells how many instances of the ECS cluster are in it.
func zonesFinding(own zones.Locality, networks zones.Networks, places []consul.Place, err error) Finding {
	switch {
	case own.Zone == "":
		return fail("the task's own zone is not known, so no zone is preferred", "ECS tells it on Fargate 1.4 and newer and on EC2; locality.zones can name the zone of the task's network")
	case err != nil && len(networks) == 0:
		return warn("where instances are is not known, so calls go to all: "+err.Error(), "let the task reach the HTTP API of Consul's servers, and its token read services and nodes; or name the zones in locality.zones")
	case err != nil:
		return warn("where instances are is known by locality.zones alone: "+err.Error(), "let the task reach the HTTP API of Consul's servers, and its token read services and nodes")
	}
	var near, far, unknown int
	seen := map[netip.Addr]bool{}
	for _, p := range places {
		if seen[p.Address] { // a task that is several services
			continue
		}
		seen[p.Address] = true
		zone := p.Zone
		if at, ok := networks.Of(p.Address); ok {
			zone = at.Zone
		}
		switch zone {
		case own.Zone:
			near++
		case "":
			unknown++
		default:
			far++
		}
	}
	found := fmt.Sprintf("zone %s: of %d tasks of the ECS cluster %d are in it, %d in others", own.Zone, len(seen), near, far)
	if unknown > 0 {
		return warn(fmt.Sprintf("%s, and of %d nobody knows", found, unknown), "tasks whose mesh-init is the agents' own say where they are; locality.zones can name the zones of the others")
	}
	return ok("%s", found)
}
