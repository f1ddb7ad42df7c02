package quota_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/quota"
)

// granted counts the calls out of n that get through at this moment.
func granted(q *quota.Quotas, n int, actions ...string) int {
	count := 0
	for i := range n {
		if !q.Exceeded(actions[i%len(actions)]) {
			count++
		}
	}
	return count
}

func TestBucketsAreThoseOfECS(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		actions     []string
		burst, rate int
	}{
		"clusters":              {[]string{"CreateCluster", "DeleteCluster"}, 20, 1},
		"definitions":           {[]string{"RegisterTaskDefinition", "DeregisterTaskDefinition"}, 20, 1},
		"definitions, read":     {[]string{"DescribeTaskDefinition", "ListTaskDefinitions", "ListTaskDefinitionFamilies"}, 50, 20},
		"definitions, deletion": {[]string{"DeleteTaskDefinitions"}, 5, 1},
		"services":              {[]string{"CreateService", "UpdateService", "DeleteService"}, 50, 5},
		"services, read":        {[]string{"DescribeServices", "DescribeServiceRevisions", "ListServices"}, 100, 20},
		"tasks":                 {[]string{"RunTask", "StopTask"}, 100, 40},
		"tasks, read":           {[]string{"DescribeTasks", "ListTasks"}, 100, 20},
		"clusters, read":        {[]string{"DescribeClusters", "ListClusters"}, 50, 20},
		"tags":                  {[]string{"TagResource", "UntagResource"}, 20, 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var q quota.Quotas
				q.Switch(true)
				time.Sleep(time.Hour) // a full bucket does not overflow
				if got := granted(&q, 200, c.actions...); got != c.burst {
					t.Errorf("at once: %d, want %d", got, c.burst)
				}
				for range 3 {
					time.Sleep(time.Second)
					if got := granted(&q, 200, c.actions...); got != c.rate {
						t.Errorf("a second later: %d, want %d", got, c.rate)
					}
				}
			})
		})
	}
}

func TestBucketsAreApart(t *testing.T) {
	t.Parallel()
	var q quota.Quotas
	q.Switch(true)
	granted(&q, 100, "RegisterTaskDefinition")
	if q.Exceeded("DescribeTaskDefinition") || q.Exceeded("CreateService") || q.Exceeded("NoSuchAction") {
		t.Error("one bucket's calls emptied another")
	}
}

func TestQuotasAreOffUntilSwitchedOn(t *testing.T) {
	t.Parallel()
	var q quota.Quotas
	if got := granted(&q, 100, "RegisterTaskDefinition"); got != 100 {
		t.Errorf("at first %d of 100 got through", got)
	}
	q.Switch(true)
	granted(&q, 100, "RegisterTaskDefinition")
	q.Switch(false)
	if got := granted(&q, 100, "RegisterTaskDefinition"); got != 100 {
		t.Errorf("off again, %d of 100 got through", got)
	}
}
