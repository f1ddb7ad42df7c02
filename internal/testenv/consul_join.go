package testenv

import "context"

// StartMember starts a server that joins the cluster of c, with its tokens and its authority. It counts as a voter some
// seconds later.
func (c *Consul) StartMember(ctx context.Context) (*Consul, error) {
	return StartConsul(ctx, ConsulConfig{Address: c.Address, Plaintext: c.CAPEM == "", joins: c})
}
