package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

func notByName() Finding { return notAsked("names.enabled is not true") }

// procSys is where the kernel shows its parameters.
const procSys = "/proc/sys"

func (f *facts) lookPortStart(context.Context) Finding {
	if !f.cfg.CallsByName() {
		return notByName()
	}
	return portStart(append([]int{mesh.PortResolver}, f.cfg.NamesSettings().Ports...))
}

// portStart tells whether users other than root may listen at the ports.
func portStart(ports []int) Finding {
	content, err := os.ReadFile(filepath.Join(procSys, strings.ReplaceAll(mesh.UnprivilegedPortStart, ".", "/")))
	if err != nil {
		return failed(err, "")
	}
	return portStartFinding(strings.TrimSpace(string(content)), slices.Min(ports))
}

func portStartFinding(value string, lowest int) Finding {
	const fix = `give the container ` + mesh.ContainerDataplane + ` systemControls with ` + mesh.UnprivilegedPortStart + ` = "0", and no container another value; on Fargate that takes the platform version 1.4.0 or later`
	start, err := strconv.Atoi(value)
	if err != nil {
		return fail(fmt.Sprintf("%s is %q, which is no number", mesh.UnprivilegedPortStart, value), fix)
	}
	if start > lowest {
		return fail(fmt.Sprintf("%s is %d: only root may listen at port %d", mesh.UnprivilegedPortStart, start, lowest), fix)
	}
	return ok("%s is %d", mesh.UnprivilegedPortStart, start)
}

func (f *facts) lookBindDevice(context.Context) Finding {
	if !f.cfg.CallsByName() {
		return notByName()
	}
	return bindDevice()
}

// bindDevice tells whether the kernel lets users other than root tie a socket to a device.
func bindDevice() Finding {
	kernel, err := kernelRelease()
	if err != nil {
		return failed(err, "")
	}
	l, err := (&net.ListenConfig{Control: tieToLoopback}).Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err == nil {
		err = l.Close()
	}
	return bindDeviceFinding(err, os.Getuid(), kernel)
}

// tieToLoopback has a socket take what comes from the loopback device alone, as Envoy's listener for names does.
func tieToLoopback(_, _ string, raw syscall.RawConn) error {
	var refused error
	if err := raw.Control(func(fd uintptr) { refused = unix.BindToDevice(int(fd), "lo") }); err != nil {
		return err
	}
	return os.NewSyscallError("setsockopt SO_BINDTODEVICE", refused)
}

func kernelRelease() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", os.NewSyscallError("uname", err)
	}
	return unix.ByteSliceToString(u.Release[:]), nil
}

// bindDeviceFinding judges the try of a user. Root may, whatever the kernel is.
func bindDeviceFinding(refused error, uid int, kernel string) Finding {
	const fix = "run the task where the kernel is 5.7 or newer, or list its upstreams in place of names"
	switch {
	case errors.Is(refused, unix.EPERM):
		return fail(fmt.Sprintf("the kernel %s lets nobody but root tie a socket to the loopback device, which keeps the names inside the task", kernel), fix)
	case refused != nil:
		return fail(fmt.Sprintf("a socket cannot be tied to the loopback device: %v", refused), fix)
	case uid == 0 && !isKernel57(kernel):
		return warn(fmt.Sprintf("user 0 may tie a socket to the loopback device; that says nothing of Envoy's user, and the kernel is %s", kernel),
			fmt.Sprintf("run the doctor as user %d", mesh.UIDHealthSync))
	}
	return ok("user %d may tie a socket to the loopback device; the kernel is %s", uid, kernel)
}

// isKernel57 reports whether a release, such as 5.10.236-228.935.amzn2.x86_64, is 5.7 or newer.
func isKernel57(release string) bool {
	var major, minor int
	if n, _ := fmt.Sscanf(release, "%d.%d", &major, &minor); n < 2 {
		return false
	}
	return major > 5 || major == 5 && minor >= 7
}

func (f *facts) lookNamesPorts(context.Context) Finding {
	if !f.cfg.CallsByName() {
		return notByName()
	}
	sockets, err := listening()
	if err != nil {
		return failed(err, "")
	}
	var places []place
	for _, port := range f.cfg.NamesSettings().Ports {
		places = append(places, place{anyPort(port), "names.ports"})
	}
	return namesFinding(places, sockets, f.life(mesh.ContainerDataplane))
}

// namesFinding is placesFinding where one port is as good as another: names go on at those that are left. Envoy listens as soon as there is a
// service that the task may call, so a free port is nothing to worry about.
func namesFinding(places []place, sockets []socket, dataplane life) Finding {
	isTaken := func(p place) bool {
		at := slices.IndexFunc(sockets, func(s socket) bool { return s.inTheWay(p.at) })
		return at >= 0 && sockets[at].uid != mesh.UIDDataplane
	}
	found := placesFinding(places, sockets, lifeAhead)
	switch {
	case found.Status == Fail && !slices.ContainsFunc(places, func(p place) bool { return !isTaken(p) }):
		found.Found += ": no name can be called"
	case found.Status == Fail:
		found.Status = Warn
		found.Found += "; names can be called at the other ports"
	case dataplane == lifeRuns && strings.Contains(found.Found, ": free"):
		found.Found += ", for as long as no intention lets the task call a service"
	}
	return found
}
