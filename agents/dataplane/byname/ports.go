package byname

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// loopbackDevice is what listeners for names are tied to.
const loopbackDevice = "lo"

// errTaken says that another program of the task listens at a port.
var errTaken = errors.New("another program of the task listens there")

// HintPorts is what has every user listen at a low port.
const HintPorts = "the task definition needs systemControls with net.ipv4.ip_unprivileged_port_start = 0, which on Fargate take platform version 1.4.0 or later"

// tryPort tells whether Envoy could listen at the port for names: it binds as Envoy does, as the same user, and lets go at once.
func tryPort(port uint16) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make a socket: %w", err)
	}
	defer unix.Close(fd)
	for _, option := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1); err != nil {
			return fmt.Errorf("set an option of a socket: %w", err)
		}
	}
	if err := unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, loopbackDevice); err != nil {
		return fmt.Errorf("tie a socket to the loopback device: %w\nhint: names need Linux 5.7 or newer, with which every user may do that: on Fargate platform version 1.4.0 or later, on EC2 a newer AMI", err)
	}
	switch err := unix.Bind(fd, &unix.SockaddrInet4{Port: int(port)}); {
	case errors.Is(err, unix.EADDRINUSE):
		return errTaken
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w\nhint: %s, or choose names.ports of 1024 or more", err, HintPorts)
	default:
		return err
	}
}
