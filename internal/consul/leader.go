package consul

import (
	"context"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/lock"
)

// Campaign waits until this controller leads, whatever happens to Consul, and returns its lease. What is sent with a context that
// comes from the lease's is not sent once the lease has ended, and a transaction is taken by Consul only while the lock is held.
func (c *Connection) Campaign(ctx context.Context, s lock.Settings) (*lock.Lease, error) {
	s.Partition = c.settings.Scope.Partition
	return lock.Campaign(ctx, c.direct, s)
}

// Leader tells who leads by the key. found is false while nobody does.
func (c *Connection) Leader(ctx context.Context, key string) (leader lock.Leader, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return lock.Look(ctx, c.direct, key)
}
