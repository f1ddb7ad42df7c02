package lock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"
)

// record is the value of the key.
type record struct {
	Holder     string    `json:"holder"`
	Address    string    `json:"address,omitempty"`
	Since      time.Time `json:"since"` // by the holder's clock, for people
	Beat       int       `json:"beat"`
	HandedOver bool      `json:"handedOver,omitempty"` // the holder leads no more
}

func (r record) text() []byte {
	text, _ := json.Marshal(r) // of texts and numbers
	return text
}

// parse reads a value; one that somebody else has written is not known.
func parse(value []byte) (r record, known bool) {
	return r, json.Unmarshal(value, &r) == nil && r.Holder != ""
}

// Leader is who leads.
type Leader struct {
	Holder  string // ARN of the controller's task
	Address string // "" where it has said none
	Since   time.Time
}

// Look tells who leads, as far as Consul knows: a leader that has just died still counts. found is false while nobody does.
func Look(ctx context.Context, client *api.Client, key string) (leader Leader, found bool, err error) {
	pair, _, err := client.KV().Get(key, (&api.QueryOptions{AllowStale: true}).WithContext(ctx))
	if err != nil {
		return Leader{}, false, fmt.Errorf("read key %s: %w", key, err)
	}
	if pair == nil || pair.Session == "" {
		return Leader{}, false, nil
	}
	r, known := parse(pair.Value)
	return Leader{Holder: r.Holder, Address: r.Address, Since: r.Since}, known && !r.HandedOver, nil
}

// errRefused means that a condition of a transaction did not hold, so that nothing was written.
var errRefused = errors.New("refused")

// transact writes all of the operations or none.
func transact(ctx context.Context, client *api.Client, ops api.TxnOps) (*api.TxnResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ok, answer, _, err := client.Txn().Txn(ops, (&api.QueryOptions{}).WithContext(ctx))
	switch {
	case err != nil:
		return nil, err
	case ok:
		return answer, nil
	}
	errs := []error{errRefused}
	for _, e := range answer.Errors {
		errs = append(errs, errors.New(e.What))
	}
	return nil, errors.Join(errs...)
}

// destroy ends a session. Where that fails, Consul ends it when nobody renews it.
func destroy(ctx context.Context, client *api.Client, session string) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, _ = client.Session().Destroy(session, (&api.WriteOptions{}).WithContext(ctx))
}

// farewell has a moment for do, also after ctx has ended, and outside of any lease.
func farewell(ctx context.Context, do func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.WithValue(context.WithoutCancel(ctx), leaseKey{}, nil), farewellTime)
	defer cancel()
	do(ctx)
}
