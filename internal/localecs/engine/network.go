package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

// Labels of everything that the engine makes in Docker.
const (
	labelWorld       = "localecs.world"
	labelTask        = "localecs.task"
	labelContainer   = "localecs.container" // pauseName for the pause container
	labelCredentials = "localecs.credentials"
	labelPort        = "localecs.metadata-port" // on the world's network, so that a restart serves where its tasks look
)

// The link-local network is one for all worlds on the machine, since AWS gives its addresses. No container joins it: it
// puts the address on a bridge of this machine, and the tasks reach it over their default route.
const linkLocalName = "localecs-linklocal"

var (
	linkLocalSubnet = netip.MustParsePrefix("169.254.170.0/24")
	linkLocalServer = netip.MustParseAddr("169.254.170.2")
)

// LinkLocal is the address of this machine that the tasks of every world reach besides their gateway's.
func LinkLocal() netip.Addr { return linkLocalServer }

// wiring is what connects the tasks of a world.
type wiring struct {
	awsvpcID string
	subnet   netip.Prefix
	gateway  netip.Addr
	listener net.Listener // of the metadata endpoint
	port     int
}

// wire finds or makes the networks and opens the metadata endpoint.
func wire(ctx context.Context, docker *client.Client, world, subnet string) (w wiring, err error) {
	unlock, err := lockNetworks(ctx)
	if err != nil {
		return w, err
	}
	defer unlock()
	if err = ensureLinkLocal(ctx, docker); err != nil {
		return w, err
	}
	existing, found, err := worldNetwork(ctx, docker, world)
	if err != nil {
		return w, err
	}
	port, _ := strconv.Atoi(existing.Labels[labelPort]) // 0 where there is none yet: any free port
	if w.listener, err = listen(ctx, netip.AddrPortFrom(linkLocalServer, uint16(port))); err != nil {
		return w, fmt.Errorf("open the metadata endpoint: %w\nhint: the world's tasks look for it there; end the process that holds the address, or take the world down", err)
	}
	defer func() {
		if err != nil {
			w.listener.Close()
		}
	}()
	w.port = w.listener.Addr().(*net.TCPAddr).Port
	if !found {
		if existing, err = makeWorldNetwork(ctx, docker, world, subnet, w.port); err != nil {
			return w, err
		}
	}
	if len(existing.IPAM.Config) == 0 || subnet != "" && existing.IPAM.Config[0].Subnet.String() != subnet {
		return w, fmt.Errorf("network %s has another subnet than %s\nhint: take the world down first", existing.Name, subnet)
	}
	w.awsvpcID, w.subnet, w.gateway = existing.ID, existing.IPAM.Config[0].Subnet, existing.IPAM.Config[0].Gateway
	return w, nil
}

// lockNetworks keeps worlds that come apart from worlds that go, in whatever process: the last to go takes the
// link-local network with it. The lock is an abstract socket, which leaves no file and ends with its holder.
func lockNetworks(ctx context.Context) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		l, err := new(net.ListenConfig).Listen(ctx, "unix", "@"+linkLocalName)
		if err == nil {
			return func() { l.Close() }, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("lock the networks: %w", err)
		}
		if !sleep.For(ctx, 20*time.Millisecond) {
			return nil, fmt.Errorf("wait for other worlds that start or end: %w", err)
		}
	}
}

// listen waits a little for an address that a process just ended may still hold.
func listen(ctx context.Context, at netip.AddrPort) (net.Listener, error) {
	for deadline := time.Now().Add(3 * time.Second); ; {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp4", at.String())
		if err == nil || time.Now().After(deadline) || ctx.Err() != nil {
			return l, err
		}
		sleep.For(ctx, 50*time.Millisecond)
	}
}

// ensureLinkLocal makes the link-local network where no other world has.
func ensureLinkLocal(ctx context.Context, docker *client.Client) error {
	for attempt := 0; ; attempt++ {
		_, err := docker.NetworkInspect(ctx, linkLocalName, client.NetworkInspectOptions{})
		if err == nil {
			return nil
		}
		if !cerrdefs.IsNotFound(err) {
			return fmt.Errorf("look for network %s: %w", linkLocalName, err)
		}
		_, err = docker.NetworkCreate(ctx, linkLocalName, client.NetworkCreateOptions{
			Driver: "bridge", Internal: true, IPAM: ipam(linkLocalSubnet, linkLocalServer),
		})
		if err == nil {
			return nil
		}
		if attempt == 3 { // the addresses are taken, and not by another world that was quicker
			return fmt.Errorf("create network %s: %w\nhint: %s must be free for it", linkLocalName, err, linkLocalSubnet)
		}
	}
}

func worldNetworkName(world string) string { return world + "-awsvpc" }

func worldNetwork(ctx context.Context, docker *client.Client, world string) (network.Summary, bool, error) {
	list, err := docker.NetworkList(ctx, client.NetworkListOptions{Filters: worldFilter(world)})
	if err != nil {
		return network.Summary{}, false, fmt.Errorf("list the networks of world %s: %w", world, err)
	}
	for _, n := range list.Items {
		if n.Name == worldNetworkName(world) {
			return n, true, nil
		}
	}
	return network.Summary{}, false, nil
}

// makeWorldNetwork takes the given subnet, or the first free one.
func makeWorldNetwork(ctx context.Context, docker *client.Client, world, subnet string, port int) (network.Summary, error) {
	candidates := make([]netip.Prefix, 0, 256)
	if subnet != "" {
		p, err := netip.ParsePrefix(subnet)
		if err != nil {
			return network.Summary{}, fmt.Errorf("parse the subnet: %w", err)
		}
		candidates = append(candidates, p)
	} else {
		for i := range 256 {
			candidates = append(candidates, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 213, byte(i), 0}), 24))
		}
	}
	var err error
	for _, p := range candidates {
		_, err = docker.NetworkCreate(ctx, worldNetworkName(world), client.NetworkCreateOptions{
			Driver: "bridge",
			IPAM:   ipam(p, p.Addr().Next()),
			Labels: map[string]string{labelWorld: world, labelPort: strconv.Itoa(port)},
		})
		if err == nil {
			made, _, err := worldNetwork(ctx, docker, world)
			return made, err
		}
		if !strings.Contains(err.Error(), "overlap") { // Docker's status for this is 403, which says less
			break
		}
	}
	return network.Summary{}, fmt.Errorf("create network %s: %w", worldNetworkName(world), err)
}

func ipam(subnet netip.Prefix, gateway netip.Addr) *network.IPAM {
	return &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnet, Gateway: gateway}}}
}

func worldFilter(world string) client.Filters {
	return make(client.Filters).Add("label", labelWorld+"="+world)
}

// eni is a task's network interface.
type eni struct {
	address netip.Addr
	mac     string
}

// privateDNSName is the name AWS would give the address.
func privateDNSName(a netip.Addr, region string) string {
	zone := region + ".compute.internal"
	if cmp.Or(region, "us-east-1") == "us-east-1" {
		zone = "ec2.internal"
	}
	return "ip-" + strings.ReplaceAll(a.String(), ".", "-") + "." + zone
}

// Down removes every container, network and volume of the world cfg.World. It needs no running engine.
func Down(ctx context.Context, cfg Config) error {
	docker, err := connect(ctx, cfg.DockerHost)
	if err != nil {
		return err
	}
	defer docker.Close()
	if err := removeContainers(ctx, docker, cfg.World); err != nil {
		return err
	}
	var errs []error
	volumes, err := docker.VolumeList(ctx, client.VolumeListOptions{Filters: worldFilter(cfg.World)})
	if err != nil {
		return fmt.Errorf("list the volumes of world %s: %w", cfg.World, err)
	}
	for _, v := range volumes.Items {
		if _, err := docker.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true}); err != nil && !cerrdefs.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("remove volume %s: %w", v.Name, err))
		}
	}
	return errors.Join(append(errs, unwire(ctx, docker, cfg.World))...)
}

func removeContainers(ctx context.Context, docker *client.Client, world string) error {
	list, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: worldFilter(world)})
	if err != nil {
		return fmt.Errorf("list the containers of world %s: %w", world, err)
	}
	errs := make([]error, len(list.Items))
	var wg sync.WaitGroup
	for i, c := range list.Items {
		wg.Go(func() {
			_, err := docker.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			if err != nil && !cerrdefs.IsNotFound(err) && !cerrdefs.IsConflict(err) { // a conflict: somebody else is removing it
				errs[i] = fmt.Errorf("remove container %s: %w", c.ID, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// unwire removes the networks of a world, and the link-local one once no world is left on the machine.
func unwire(ctx context.Context, docker *client.Client, world string) error {
	unlock, err := lockNetworks(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	networks, err := docker.NetworkList(ctx, client.NetworkListOptions{Filters: worldFilter(world)})
	if err != nil {
		return fmt.Errorf("list the networks of world %s: %w", world, err)
	}
	var errs []error
	for _, n := range networks.Items {
		if _, err := docker.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}); err != nil && !cerrdefs.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("remove network %s: %w", n.Name, err))
		}
	}
	return errors.Join(append(errs, leaveLinkLocal(ctx, docker))...)
}

func leaveLinkLocal(ctx context.Context, docker *client.Client) error {
	worlds, err := docker.NetworkList(ctx, client.NetworkListOptions{Filters: make(client.Filters).Add("label", labelWorld)})
	if err != nil {
		return fmt.Errorf("list the networks of other worlds: %w", err)
	}
	if len(worlds.Items) > 0 {
		return nil
	}
	if _, err := docker.NetworkRemove(ctx, linkLocalName, client.NetworkRemoveOptions{}); err != nil && !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("remove network %s: %w", linkLocalName, err)
	}
	return nil
}

// Leftovers names the containers, volumes and networks that Docker still has of the world cfg.World.
func Leftovers(ctx context.Context, cfg Config) ([]string, error) {
	docker, err := connect(ctx, cfg.DockerHost)
	if err != nil {
		return nil, err
	}
	defer docker.Close()
	containers, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: worldFilter(cfg.World)})
	if err != nil {
		return nil, fmt.Errorf("list the containers of world %s: %w", cfg.World, err)
	}
	volumes, err := docker.VolumeList(ctx, client.VolumeListOptions{Filters: worldFilter(cfg.World)})
	if err != nil {
		return nil, fmt.Errorf("list the volumes of world %s: %w", cfg.World, err)
	}
	networks, err := docker.NetworkList(ctx, client.NetworkListOptions{Filters: worldFilter(cfg.World)})
	if err != nil {
		return nil, fmt.Errorf("list the networks of world %s: %w", cfg.World, err)
	}
	var left []string
	for _, c := range containers.Items {
		left = append(left, "container "+strings.TrimPrefix(c.Names[0], "/"))
	}
	for _, v := range volumes.Items {
		left = append(left, "volume "+v.Name)
	}
	for _, n := range networks.Items {
		left = append(left, "network "+n.Name)
	}
	return left, nil
}
