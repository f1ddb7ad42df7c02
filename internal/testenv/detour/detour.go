// Package detour leads connections of this machine with itself through a device of its own, where packets can be delayed and
// lost. A network is what it stands for: kernels for tests seldom have the queueing disciplines for that. It takes root and
// /dev/net/tun.
//
// The device has an address, Local, and a network of further ones that are nobody's. A packet to one of those comes back with
// its two addresses exchanged: so who connects to port 80 of it gets to port 80 of Local, and sees no difference. Whoever wants
// to be reached binds to Local, or to all addresses. Exchanging the two leaves checksums right.
package detour

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/required"
)

// Of an IPv4 header: where its addresses are, and how long it is at the least.
const (
	sourceAt      = 12
	destinationAt = 16
	headerLength  = 20
)

// Device is a running device. Its methods may be called at any time.
type Device struct {
	Local netip.Addr

	file  *os.File
	delay atomic.Int64     // of each packet
	lost  [256]atomic.Bool // by the last byte of the address
}

// packet is one on its way.
type packet struct {
	due  time.Time
	data []byte
}

// networks counts the devices of this process.
var networks atomic.Int32

// Start makes a device that lives until the test ends.
func Start(t testing.TB) *Device {
	t.Helper()
	// 198.18.0.0/15 is for measurements of networks. Processes begin at places of their own.
	n := uint32(os.Getpid()*7+int(networks.Add(1))) % (1 << 9)
	d := &Device{Local: netip.AddrFrom4([4]byte{198, 18 + byte(n>>8), byte(n), 1})}
	if err := d.open(); err != nil {
		required.Missing(t, "a network device for tests needs root and /dev/net/tun: ", err)
	}
	under := make(chan packet, 1<<14)
	go d.read(under)
	go d.write(under)
	t.Cleanup(func() { _ = d.file.Close() })
	return d
}

func (d *Device) open() error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open /dev/net/tun: %w", err)
	}
	if err := d.configure(fd); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	d.file = os.NewFile(uintptr(fd), "/dev/net/tun")
	return nil
}

// configure makes the device, gives it its address and brings it up.
func (d *Device) configure(fd int) error {
	device, err := unix.NewIfreq("detour%d")
	if err != nil {
		return err
	}
	device.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, device); err != nil {
		return fmt.Errorf("make a device: %w", err)
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	address := d.Local.As4()
	for _, set := range []struct {
		request uint
		value   func(*unix.Ifreq) error
	}{
		{unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(address[:]) }},
		{unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr([]byte{255, 255, 255, 0}) }},
		{unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil }},
	} {
		r, err := unix.NewIfreq(device.Name())
		if err == nil {
			err = set.value(r)
		}
		if err == nil {
			err = unix.IoctlIfreq(socket, set.request, r)
		}
		if err != nil {
			return fmt.Errorf("set up device %s: %w", device.Name(), err)
		}
	}
	return nil
}

// Addr is the nth of the addresses that lead to Local, from 0 on.
func (d *Device) Addr(n int) netip.Addr {
	address := d.Local.As4()
	address[3] += byte(n + 1)
	return netip.AddrFrom4(address)
}

// Delay has each packet take that long: a round trip takes twice as much.
func (d *Device) Delay(each time.Duration) { d.delay.Store(int64(each)) }

// Lose has all packets to and from an address lost, or none of them, without a word to anybody.
func (d *Device) Lose(address netip.Addr, lost bool) { d.lost[address.As4()[3]].Store(lost) }

func (d *Device) read(under chan<- packet) {
	defer close(under)
	buffer := make([]byte, 1<<16)
	for {
		n, err := d.file.Read(buffer)
		if err != nil {
			return // it was closed
		}
		p := packet{time.Now().Add(time.Duration(d.delay.Load())), append([]byte(nil), buffer[:n]...)}
		if n < headerLength || p.data[0]>>4 != 4 {
			continue
		}
		var source [4]byte
		copy(source[:], p.data[sourceAt:])
		if d.lost[p.data[destinationAt+3]].Load() {
			continue
		}
		copy(p.data[sourceAt:], p.data[destinationAt:destinationAt+4])
		copy(p.data[destinationAt:], source[:])
		under <- p
	}
}

func (d *Device) write(under <-chan packet) {
	for p := range under {
		time.Sleep(time.Until(p.due))
		_, _ = d.file.Write(p.data) // a packet may be lost
	}
}
