package taskverdict

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"golang.org/x/time/rate"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
)

// What whoever looks takes of the account's quota, which all of an account's programs share: ECS allows 20 calls a second of
// ListTasks and DescribeTasks together.
const (
	// LooksPerSecond is how many requests full looks make at the most, in any second.
	LooksPerSecond = 2
	// UrgentAtOnce is how many requests there may be at once about what events name: a thousand tasks that die together are
	// described at once, with the controller's own in each call.
	UrgentAtOnce = 11

	urgentPerSecond = 2 // on average
)

// turns are the requests of full looks in their order. Each limiter lets one through a second and is taken in turn, so that there
// are never more of them in a second than there are limiters. One limiter with a burst would let through more than that at first.
type turns struct {
	next     atomic.Uint64
	limiters [LooksPerSecond]*rate.Limiter
}

func newTurns() *turns {
	var t turns
	for i := range t.limiters {
		t.limiters[i] = rate.NewLimiter(rate.Every(time.Second), 1)
	}
	return &t
}

func (t *turns) wait(ctx context.Context) error {
	return t.limiters[t.next.Add(1)%LooksPerSecond].Wait(ctx)
}

// Paced are clients of ECS that keep to a part of the quota, whatever the number of ECS clusters: one for full looks, and one for
// what events name, which does not wait for a full look.
func Paced(cfg aws.Config) (looks, urgent *ecs.Client) {
	burst := rate.NewLimiter(urgentPerSecond, UrgentAtOnce)
	return awsapi.ECS(awsapi.Paced(cfg, newTurns().wait)), awsapi.ECS(awsapi.Paced(cfg, burst.Wait))
}
