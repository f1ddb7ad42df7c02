package testenv

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"
)

func TestWritesAreReadFromConsulsMetrics(t *testing.T) {
	t.Parallel()
	const page = `# TYPE consul_raft_apply counter
consul_raft_apply 12
# TYPE consul_fsm_register summary
consul_fsm_register{quantile="0.5"} NaN
consul_fsm_register_sum 0.3
consul_fsm_register_count 4
# TYPE consul_fsm_acl_token summary
consul_fsm_acl_token_sum{op="upsert"} 0.1
consul_fsm_acl_token_count{op="upsert"} 3
consul_fsm_acl_token_sum{op="delete"} 0.1
consul_fsm_acl_token_count{op="delete"} 1
# TYPE consul_fsm_txn summary
consul_fsm_txn_sum 0
consul_fsm_txn_count 0
# TYPE consul_consul_fsm_ca summary
consul_consul_fsm_ca_sum{op="x"} 0
consul_consul_fsm_ca_count{op="x"} 9
`
	got, err := readWrites(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	want := Writes{All: 12, ByKind: map[string]int{"register": 4, "acl_token upsert": 3, "acl_token delete": 1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	since := got.Since(Writes{All: 10, ByKind: map[string]int{"register": 2, "acl_token upsert": 3}})
	if n := since.Changes(); n != 3 {
		t.Errorf("%d changes, want 3", n)
	}
	if diff := cmp.Diff(Writes{All: 2, ByKind: map[string]int{"register": 2, "acl_token delete": 1}}, since); diff != "" {
		t.Error(diff)
	}
	if _, err := readWrites(strings.NewReader("no metrics {")); err == nil {
		t.Error("nonsense was read")
	}
}

func TestAServerCountsItsWrites(t *testing.T) {
	t.Parallel()
	c := ConsulDuring(t, ConsulConfig{})
	before, err := c.Writes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "two"} {
		if _, err := c.API.KV().Put(&api.KVPair{Key: name}, nil); err != nil {
			t.Fatal(err)
		}
	}
	after, err := c.Writes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := after.Since(before); got.ByKind["kvs set"] != 2 || got.All < 2 {
		t.Errorf("two keys were written; counted %+v", got)
	}
}
