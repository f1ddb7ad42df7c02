package consul

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

// A token is renewed when this part of its life is over, or up to that much more of it, so that the tasks of a fleet do not
// log in at the same moment.
const (
	renewAfterPercent  = 70
	renewSpreadPercent = 15
)

// expiryAfter is how long a token has been in use before somebody asks when it expires. Consul takes no life below a minute,
// and an agent that only starts something has ended by then.
const expiryAfter = 20 * time.Second

// renewInTime logs in again before the token expires. The calls of an agent would bring an expired one to light, but not what
// waits for an answer: Consul keeps Envoy's stream open after its token has expired, and says nothing on it any more. The old
// token is left to expire, as calls with it may be under way.
func (c *Connection) renewInTime(ctx context.Context) {
	for sleep.For(ctx, expiryAfter) {
		token := c.session.current.Load()
		life, err := c.life(ctx)
		if err != nil {
			if ctx.Err() == nil {
				c.log.Warn("not known when the ACL token expires, will ask again", agentlog.Fields(err)...)
			}
			continue
		}
		var over <-chan time.Time // never for a token that does not expire
		if life > 0 {
			over = time.After(renewalAfter(life) - time.Since(token.since))
		}
		select {
		case <-ctx.Done():
			return
		case <-token.replaced:
			continue
		case <-over:
		}
		if _, err := c.session.replace(ctx, token.secretID, "logging in again: the ACL token is about to expire"); err != nil && ctx.Err() == nil {
			c.log.Warn("ACL token not renewed, will retry", agentlog.Fields(err)...)
		}
	}
}

// life is how long the current token lives as a whole, by Consul's clock; 0 for one that does not expire.
func (c *Connection) life(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	self, _, err := c.http.ACL().TokenReadSelf(query(ctx))
	if err != nil {
		return 0, fmt.Errorf("read the ACL token: %w", err)
	}
	if self.ExpirationTime == nil {
		return 0, nil
	}
	return self.ExpirationTime.Sub(self.CreateTime), nil
}

// renewalAfter is the age at which a token that lives so long is renewed.
func renewalAfter(life time.Duration) time.Duration {
	return life*renewAfterPercent/100 + rand.N(life*renewSpreadPercent/100+1)
}
