package redirect

import (
	"fmt"

	"github.com/coreos/go-iptables/iptables"
)

// Program is the version of the iptables that Apply would use, such as 1.8.11.
func Program() (version string, err error) {
	kernel, err := Table{}.kernel()
	if err != nil {
		return "", err
	}
	major, minor, patch := kernel.GetIptablesVersion()
	return fmt.Sprintf("%d.%d.%d", major, minor, patch), nil
}

// Verify reads the rules of this network namespace, which takes the capability NET_ADMIN, and names the first that is not
// as the tables say. It changes nothing, and passes over IPv6's where Apply does.
func Verify(tables []Table) error {
	for _, t := range tables {
		needs, reach := true, true
		if t.IPv6 {
			var err error
			if needs, reach, err = ipv6(); err != nil {
				return fmt.Errorf("verify IPv6 rules: %w", err)
			}
		}
		if !needs {
			continue
		}
		kernel, err := t.kernel()
		if err == nil {
			err = t.verify(kernel)
		}
		if err != nil && reach {
			return fmt.Errorf("verify %s rules: %w", t.family(), err)
		}
	}
	return nil
}

func (t Table) family() string {
	if t.IPv6 {
		return "IPv6"
	}
	return "IPv4"
}

// kernel is the way to the rules of the table's address family.
func (t Table) kernel() (*iptables.IPTables, error) {
	family := iptables.ProtocolIPv4
	if t.IPv6 {
		family = iptables.ProtocolIPv6
	}
	kernel, err := iptables.New(iptables.IPFamily(family), iptables.Timeout(lockSeconds))
	if err != nil {
		return nil, fmt.Errorf("find iptables: %w", err)
	}
	return kernel, nil
}

// verify names the first rule that the kernel does not hold at its place.
func (t Table) verify(kernel *iptables.IPTables) error {
	for _, chain := range append(ourChains(), chainOutput, chainPrerouting) {
		listed, err := kernel.List(natTable, chain)
		if err == nil {
			err = t.missing(chain, listed)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
