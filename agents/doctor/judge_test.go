package doctor

import (
	"errors"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
	"github.com/consulecs/terraform-provider-consulecs/internal/zones"
)

// verdict is a finding and what it has to be: the status, and words of what was found and of the fix.
type verdict struct {
	got        Finding
	status     Status
	found, fix string
}

func judge(t *testing.T, verdicts map[string]verdict) {
	t.Helper()
	for name, v := range verdicts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if v.got.Status != v.status || !strings.Contains(v.got.Found, v.found) || !strings.Contains(v.got.Fix, v.fix) {
				t.Errorf("got %+v, want %s with %q and %q", v.got, v.status, v.found, v.fix)
			}
			if (v.got.Status == Fail || v.got.Status == Warn) && v.got.Fix == "" {
				t.Errorf("no fix: %+v", v.got)
			}
		})
	}
}

func TestTheTaskIsJudged(t *testing.T) {
	t.Parallel()
	web := agentconfig.Service{Name: "web"}
	enterprise := agentconfig.Service{Name: "web", Partition: "p", Namespace: "n"}
	tags := func(pairs ...string) taskmeta.Tags {
		values := map[string]string{mesh.TaskTagMesh: "true"}
		for i := 0; i < len(pairs); i += 2 {
			values[pairs[i]] = pairs[i+1]
		}
		return taskmeta.Tags{Values: values}
	}
	stopping := taskmeta.Details{Task: taskmeta.Task{ARN: "arn", Family: "web", KnownStatus: "RUNNING", DesiredStatus: "STOPPED"}}
	judge(t, map[string]verdict{
		"stopping task":        {taskFinding(stopping), Warn, "ECS stops it", "stopped reason"},
		"EC2":                  {launchFinding("EC2", true), OK, "EC2", ""},
		"FARGATE":              {launchFinding("FARGATE", false), OK, "FARGATE", ""},
		"FARGATE, transparent": {launchFinding("FARGATE", true), Fail, "NET_ADMIN", "transparentProxy.enabled to false"},
		"EXTERNAL":             {launchFinding("EXTERNAL", false), Fail, "awsvpc", "EC2"},
		"launch type not told": {launchFinding("", true), OK, "do not say", ""},

		"tags":                   {taskTagsFinding(tags(), web), OK, mesh.TaskTagMesh, ""},
		"tags not propagated":    {taskTagsFinding(taskmeta.Tags{}, web), Fail, `is "", want "true"`, "propagate_tags"},
		"tag mesh is another":    {taskTagsFinding(tags(mesh.TaskTagMesh, "yes"), web), Fail, `is "yes"`, "propagate_tags"},
		"tags not to be read":    {taskTagsFinding(taskmeta.Tags{Problem: "AccessDeniedException"}, web), Warn, "AccessDeniedException", "ecs:ListTagsForResource"},
		"tag of another service": {taskTagsFinding(tags(mesh.TaskTagServiceName, "api"), web), Warn, `"api"`, "name"},
		"partition and namespace": {taskTagsFinding(tags(mesh.TaskTagPartition, "p", mesh.TaskTagNamespace, "n"), enterprise),
			OK, "", ""},
		"no partition":           {taskTagsFinding(tags(mesh.TaskTagNamespace, "n"), enterprise), Fail, mesh.TaskTagPartition, "keep the tags"},
		"the default partition":  {taskTagsFinding(tags(mesh.TaskTagPartition, "default", mesh.TaskTagNamespace, "default"), web), OK, "", ""},
		"namespace out of place": {taskTagsFinding(tags(mesh.TaskTagNamespace, "n"), web), Fail, `says ""`, ""},
	})
}

func TestTheRoleIsJudged(t *testing.T) {
	t.Parallel()
	caller := func(arn string, skew time.Duration) Finding {
		f, _ := callerFinding(arn, skew)
		return f
	}
	const assumed = "arn:aws-cn:sts::123456789012:assumed-role/web-task/abc"
	tag := func(service, namespace string) map[string]string {
		return map[string]string{mesh.RoleTagServiceName: service, mesh.RoleTagNamespace: namespace}
	}
	web := agentconfig.Service{Name: "web"}
	twofold := &facts{cfg: agentconfig.Config{
		Service: &agentconfig.Service{Port: 8080}, Services: []agentconfig.FurtherService{{Service: &agentconfig.Service{Name: "web-admin", Port: 8081}}},
	}}
	verdicts := func(first, second Status) func(agentconfig.Pair) Finding {
		return func(p agentconfig.Pair) Finding {
			return Finding{Status: map[int]Status{8080: first, 8081: second}[p.Service.Port], Found: strconv.Itoa(p.Service.Port), Fix: "mend it"}
		}
	}
	judge(t, map[string]verdict{
		"task role":        {credentialsFinding(aws.Credentials{Source: "CredentialsEndpointProvider", CanExpire: true, Expires: time.Unix(0, 0)}), OK, "good until 1970-01-01T00:00:00Z", ""},
		"role of the host": {credentialsFinding(aws.Credentials{Source: "EC2RoleProvider"}), Fail, "not of a task role", "taskRoleArn"},

		"role":          {caller(assumed, time.Minute), OK, "role web-task of account 123456789012", ""},
		"user":          {caller("arn:aws:iam::123456789012:user/joe", 0), Fail, "the IAM user joe", "without AWS credentials of people"},
		"clock ahead":   {caller(assumed, -10*time.Minute), Fail, "10m0s off", "clock"},
		"clock behind":  {caller(assumed, 10*time.Minute), Fail, "10m0s off", "clock"},
		"no ARN at all": {caller("anonymous", 0), Fail, "anonymous", "task role"},

		"tag":                    {roleTagsFinding(tag("web", ""), web), OK, `"web"`, ""},
		"no tag":                 {roleTagsFinding(nil, web), Fail, "no tag", `value "web"`},
		"tag of another service": {roleTagsFinding(tag("api", ""), web), Fail, `is "api"`, "a task role of its own"},
		"no name of a service":   {roleTagsFinding(tag("My Web", ""), agentconfig.Service{Name: "My Web"}), Fail, "lower-case", "rename"},
		"name not known":         {roleTagsFinding(tag("web", ""), agentconfig.Service{}), Skip, "needs metadata", ""},
		"namespace":              {roleTagsFinding(tag("web", "n"), agentconfig.Service{Name: "web", Namespace: "n"}), OK, "", ""},
		"default namespace":      {roleTagsFinding(tag("web", "default"), web), OK, "", ""},
		"every service is well":  {twofold.eachService(verdicts(OK, OK)), OK, "8080", "mend it"},
		"the second is not":      {twofold.eachService(verdicts(OK, Warn)), Warn, "8081", "mend it"},
		"the first is not":       {twofold.eachService(verdicts(Fail, OK)), Fail, "8080", "mend it"},
		"further tag":            {furtherTagFinding(map[string]string{"t-2": "web-admin"}, "t-2", "web-admin"), OK, `t-2 is "web-admin"`, ""},
		"no further tag":         {furtherTagFinding(tag("web", ""), "t-2", "web-admin"), Fail, `t-2 is ""`, `the tag t-2 with the value "web-admin"`},
		"another namespace":      {roleTagsFinding(tag("web", ""), agentconfig.Service{Name: "web", Namespace: "n"}), Fail, mesh.RoleTagNamespace, "namespace"},

		"path":            {rolePathFinding("arn:aws:iam::1:role/consul-ecs/web", "/consul-ecs/"), OK, "/consul-ecs/", ""},
		"deeper path":     {rolePathFinding("arn:aws:iam::1:role/consul-ecs/team/web", "/consul-ecs/"), OK, "", ""},
		"every path":      {rolePathFinding("arn:aws:iam::1:role/web", "/"), OK, "", ""},
		"no path":         {rolePathFinding("arn:aws:iam::1:role/web", "/consul-ecs/"), Warn, "the role is web", "controller.iamRolePath"},
		"path and prefix": {rolePathFinding("arn:aws:iam::1:role/consul-ecs-2/web", "/consul-ecs/"), Warn, "", ""},
	})
}

func TestServersAreJudgedTogether(t *testing.T) {
	t.Parallel()
	one, two := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	refused := explainDial(os.NewSyscallError("connect", syscall.ECONNREFUSED), consul.PortGRPC)
	timeout := explainDial(os.ErrDeadlineExceeded, consul.PortHTTP)
	judge(t, map[string]verdict{
		"all well":  {serversFinding([]answer{{one, "port 1", nil}, {two, "", nil}}, ""), OK, "10.0.0.1 port 1, 10.0.0.2", ""},
		"one away":  {serversFinding([]answer{{one, "port 1", nil}, {two, "", refused}}, ""), Warn, "10.0.0.2: connect: connection refused; well: 10.0.0.1 port 1", "consulServers.grpc.port"},
		"all away":  {serversFinding([]answer{{one, "", timeout}, {two, "", refused}}, ""), Fail, "10.0.0.1: i/o timeout; 10.0.0.2: ", "security group"},
		"no route":  {serversFinding([]answer{{one, "", explainDial(syscall.EHOSTUNREACH, consul.PortGRPC)}}, ""), Fail, "no route", "consulServers.hosts"},
		"otherwise": {serversFinding([]answer{{one, "", errors.New("odd")}}, "do it"), Fail, "10.0.0.1: odd", "do it"},
	})
}

func TestTheRegistrationIsJudged(t *testing.T) {
	t.Parallel()
	r := consul.Registration{ServiceID: "web-1", ServiceName: "web", ProxyName: "web-sidecar-proxy", Checks: []consul.Check{{ID: "web-1-app", Container: "app"}}}
	passing := map[string]consul.Check{"web-1-app": {Status: consul.Passing}}
	critical := map[string]consul.Check{"web-1-app": {Status: consul.Critical, Output: "not ready"}}
	code := func(n int) *int { return &n }
	task := func(containers ...taskmeta.Container) taskmeta.Task { return taskmeta.Task{Containers: containers} }
	running := func(name string) taskmeta.Container { return taskmeta.Container{Name: name, KnownStatus: "RUNNING"} }
	exited := func(name string, exit int) taskmeta.Container {
		return taskmeta.Container{Name: name, KnownStatus: "STOPPED", DesiredStatus: "RUNNING", ExitCode: code(exit)}
	}
	sick := running("app")
	sick.Health = taskmeta.Unhealthy
	judge(t, map[string]verdict{
		"may register":             {permissionsFinding(nil, r, false), OK, "service:write on web and web-sidecar-proxy", ""},
		"further may not":          {permissionsFinding([]string{"web-admin"}, r, false), Fail, "no service:write on web-admin", mesh.RoleTagOfService(1)},
		"may not":                  {permissionsFinding([]string{"web"}, r, false), Fail, "no service:write on web", mesh.RoleTagServiceName},
		"static token may not":     {permissionsFinding([]string{"web"}, r, true), Fail, "", "service:write on web and web-sidecar-proxy"},
		"passing":                  {registrationFinding(r, passing, true, task()), OK, "1 checks pass", ""},
		"critical":                 {registrationFinding(r, critical, true, task(running("app"))), Warn, "check web-1-app is critical: not ready", "just started"},
		"critical as ECS says so":  {registrationFinding(r, critical, true, task(sick)), Fail, "critical", "container app as UNHEALTHY"},
		"critical, nobody syncs":   {registrationFinding(r, critical, true, task(exited(mesh.ContainerHealthSync, 1))), Fail, "critical", "has ended"},
		"before mesh-init":         {registrationFinding(r, nil, false, task(running(mesh.ContainerMeshInit))), Skip, "needs mesh-init", ""},
		"no container of the mesh": {registrationFinding(r, nil, false, task()), Skip, "needs mesh-init", ""},
		"after mesh-init":          {registrationFinding(r, nil, false, task(exited(mesh.ContainerMeshInit, 0))), Fail, "is not registered", "logs"},
		"mesh-init failed":         {registrationFinding(r, nil, false, task(exited(mesh.ContainerMeshInit, 1))), Fail, "exit code 1", "its log"},
		"lost":                     {registrationFinding(r, nil, false, task(running(mesh.ContainerHealthSync))), Fail, "lacks web-1", "health-sync"},
	})
}

func at(address string, uid int) socket { return socket{netip.MustParseAddrPort(address), uid} }

func TestPortsAreJudged(t *testing.T) {
	t.Parallel()
	public := []place{{netip.MustParseAddrPort("0.0.0.0:20000"), "proxy.publicListenerPort"}}
	upstreams := upstreamPlaces([]agentconfig.Upstream{{LocalBindPort: 1234}, {LocalBindPort: 1235, LocalBindAddress: "127.0.0.2"}}, 0)
	envoys, other := mesh.UIDDataplane, 0
	port := netip.MustParseAddrPort("127.0.0.1:22000")
	unready := errors.New("GET /ready: 503")
	judge(t, map[string]verdict{
		"free":                   {placesFinding(public, nil, lifeAhead), OK, "0.0.0.0:20000: free", ""},
		"free, nobody knows":     {placesFinding(public, nil, lifeUnknown), OK, "free", ""},
		"free, dataplane runs":   {placesFinding(public, []socket{at("127.0.0.1:9090", other)}, lifeRuns), Warn, "free, though the dataplane runs", mesh.ContainerDataplane},
		"the dataplane's":        {placesFinding(public, []socket{at("0.0.0.0:20000", envoys)}, lifeRuns), OK, "the dataplane's", ""},
		"taken":                  {placesFinding(public, []socket{at("127.0.0.1:20000", 1000)}, lifeRuns), Fail, "taken by user 1000, at 127.0.0.1:20000", "or set proxy.publicListenerPort"},
		"taken on all addresses": {placesFinding(upstreams, []socket{at("[::]:1235", other)}, lifeAhead), Fail, "127.0.0.2:1235 is taken by user 0, at [::]:1235; 127.0.0.1:1234: free", "proxy.upstreams[1].localBindPort"},
		"elsewhere is no matter": {placesFinding(upstreams, []socket{at("127.0.0.1:1235", other)}, lifeAhead), OK, "127.0.0.1:1234, 127.0.0.2:1235: free", ""},
		"no setting":             {placesFinding([]place{{at: port}}, []socket{at("127.0.0.1:22000", other)}, lifeAhead), Fail, "taken", "listen elsewhere"},

		"ready":               {readyFinding(port, nil, lifeRuns, time.Minute), OK, "127.0.0.1:22000", ""},
		"not ready":           {readyFinding(port, unready, lifeRuns, time.Minute), Fail, "503", "log"},
		"not ready yet":       {readyFinding(port, unready, lifeRuns, 3*time.Second), Warn, "3s after", "log"},
		"dataplane has ended": {readyFinding(port, unready, lifeOver, time.Minute), Fail, "has ended", "log"},
		"nobody knows":        {readyFinding(port, unready, lifeUnknown, time.Hour), Skip, "needs metadata", ""},
	})
}

func TestRedirectionIsJudged(t *testing.T) {
	t.Parallel()
	missing := errors.New("rule 1 of OUTPUT is missing")
	const plain, consulFirst = "nameserver 10.0.0.2\n", "search a.b\nnameserver 127.0.0.1\nnameserver 10.0.0.2\n"
	judge(t, map[string]verdict{
		"user of health-sync":  {userFinding(mesh.UIDHealthSync, 0, nil), OK, "past the redirection", ""},
		"group of mesh-init":   {userFinding(0, mesh.UIDMeshInit, nil), OK, "past the redirection", ""},
		"excluded user":        {userFinding(1000, 0, []string{"1000"}), OK, "past the redirection", ""},
		"root":                 {userFinding(0, 0, []string{"1000"}), Warn, "through the proxy", "5996"},
		"capable":              {netAdminFinding(true, initUnknown), OK, "this container", ""},
		"mesh-init was":        {netAdminFinding(false, initDone), OK, "mesh-init had it", ""},
		"mesh-init was not":    {netAdminFinding(false, initFailed), Fail, "has failed", "NET_ADMIN"},
		"nobody knows":         {netAdminFinding(false, initUnknown), Warn, "not in this container", "NET_ADMIN"},
		"rules":                {rulesFinding(nil, initDone), OK, "", ""},
		"rules missing":        {rulesFinding(missing, initDone), Fail, "rule 1 of OUTPUT", "run mesh-init again"},
		"rules not yet there":  {rulesFinding(missing, initUnknown), Skip, "needs mesh-init", ""},
		"resolver":             {resolverFinding(consulFirst, initDone), OK, "127.0.0.1 first", ""},
		"resolver without":     {resolverFinding(plain, initDone), Fail, "does not name 127.0.0.1", "root file system"},
		"resolver not yet set": {resolverFinding(plain, initUnknown), Skip, "needs mesh-init", ""},
	})
	for status, want := range map[string]bool{
		"Name:\tx\nCapPrm:\t0000000000001000\nCapEff:\t0000000000000000\n":  false,
		"CapEff:\t0000000000001000\n":                                       true,
		"CapEff:\t000001ffffffffff\nCapBnd:\t0000000000000000\nSeccomp:\t2": true,
	} {
		if got, err := hasNetAdmin(status); got != want || err != nil {
			t.Errorf("%q: %t, %v, want %t", status, got, err, want)
		}
	}
	if _, err := hasNetAdmin("Name:\tx\n"); err == nil {
		t.Error("a status without capabilities is understood")
	}
}

func TestTheApplicationIsJudged(t *testing.T) {
	t.Parallel()
	const address = "127.0.0.1:8080"
	refused := errors.New("connection refused")
	private, open := []socket{at(address, 0), at("[::1]:8080", 0)}, []socket{at("[::]:8080", 0)}
	judge(t, map[string]verdict{
		"answers":         {appFinding(address, nil, private, lifeRuns), OK, address, ""},
		"not started":     {appFinding(address, refused, nil, lifeAhead), Skip, "needs the application", ""},
		"elsewhere":       {appFinding(address, refused, []socket{at("10.0.0.7:8080", 0)}, lifeRuns), Fail, "at 10.0.0.7:8080", "proxy.localServiceAddress"},
		"nowhere":         {appFinding(address, refused, nil, lifeRuns), Fail, "connection refused", "service.port"},
		"nobody knows":    {appFinding(address, refused, nil, lifeUnknown), Fail, "connection refused", ""},
		"private":         {bypassFinding(private, false, false), OK, "127.0.0.1:8080, [::1]:8080", ""},
		"open":            {bypassFinding(open, false, false), Warn, "past the proxy, at [::]:8080", "listen on 127.0.0.1"},
		"open at the ENI": {bypassFinding(append(private, at("10.0.0.7:8080", 0)), false, false), Warn, "at 10.0.0.7:8080", ""},
		"redirected":      {bypassFinding(open, true, false), OK, "redirected into the proxy", ""},
		"excluded":        {bypassFinding(open, true, true), Warn, "excludeInboundPorts", "off that list"},
		"nothing there":   {bypassFinding(nil, false, false), Skip, "nothing listens", ""},
	})
	if got := onPort([]socket{at("0.0.0.0:8080", mesh.UIDDataplane), at("0.0.0.0:8081", 0), at(address, 0)}, 8080); len(got) != 1 || got[0] != at(address, 0) {
		t.Errorf("the application's sockets are %v", got)
	}
}

func TestTheApplicationRunsAsSoonAsOneContainerDoes(t *testing.T) {
	t.Parallel()
	c := func(status string) taskmeta.Container { return taskmeta.Container{KnownStatus: status} }
	for name, tc := range map[string]struct {
		containers []taskmeta.Container
		want       life
	}{
		"one of two": {[]taskmeta.Container{c("PENDING"), c("RUNNING")}, lifeRuns},
		"none yet":   {[]taskmeta.Container{c("STOPPED"), c("CREATED")}, lifeAhead},
		"all over":   {[]taskmeta.Container{c("STOPPED"), c("STOPPED")}, lifeOver},
		"stopping":   {[]taskmeta.Container{{KnownStatus: "RUNNING", DesiredStatus: "STOPPED"}}, lifeRuns},
	} {
		if got := lifeOfAll(tc.containers); got != tc.want {
			t.Errorf("%s: got %d, want %d", name, got, tc.want)
		}
	}
}

func TestTheKernelsTablesAreRead(t *testing.T) {
	t.Parallel()
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:4A38 00000000:0000 0A 00000000:00000000 00:00000000 00000000  5995        0 1 1 0 100 0 0 10 0
   1: 0700090A:9C40 0800090A:01BB 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
   3: 0000000000000000FFFF00000700090A:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4 1 0 100 0 0 10 0
   4: B80D01200000000000000000010000FF:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 5 1 0 100 0 0 10 0
`
	got, err := parseSockets(strings.NewReader(table))
	want := []socket{at("127.0.0.1:19000", 5995), at("[::1]:8080", 0), at("10.9.0.7:8081", 1000), at("[2001:db8::ff00:1]:80", 1000)}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(socket{}), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, bad := range []string{"0100007G:4A38", "0100:4A38", "0100007F:", "0100007F"} {
		if _, err := parseSocketAddress(bad); err == nil {
			t.Errorf("%q passes for an address", bad)
		}
	}
	if _, err := listening(); err != nil {
		t.Error(err)
	}
}

func TestZonesAreJudged(t *testing.T) {
	t.Parallel()
	a := zones.Locality{Zone: "a"}
	networks, err := zones.ParseNetworks(map[string]string{"10.0.3.0/24": "c"})
	if err != nil {
		t.Fatal(err)
	}
	at := func(addr, zone string) consul.Place {
		return consul.Place{Address: netip.MustParseAddr(addr), Zone: zone}
	}
	places := []consul.Place{at("10.0.1.1", "a"), at("10.0.1.1", "a"), at("10.0.2.1", "b"), at("10.0.2.2", "b")}
	refused := errors.New("403")
	judge(t, map[string]verdict{
		"seen":                     {zonesFinding(a, nil, places, nil), OK, "zone a: of 3 tasks of the ECS cluster 1 are in it, 2 in others", ""},
		"one that nobody knows":    {zonesFinding(a, nil, append(places, at("10.0.3.1", "")), nil), Warn, "of 1 nobody knows", "locality.zones"},
		"one that a network tells": {zonesFinding(a, networks, append(places, at("10.0.3.1", "")), nil), OK, "3 in others", ""},
		"no zone of its own":       {zonesFinding(zones.Locality{}, nil, places, nil), Fail, "own zone is not known", "locality.zones"},
		"refused":                  {zonesFinding(a, nil, nil, refused), Warn, "calls go to all: 403", "HTTP API"},
		"refused, with networks":   {zonesFinding(a, networks, nil, refused), Warn, "by locality.zones alone", "HTTP API"},
	})
}
