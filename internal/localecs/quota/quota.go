// Package quota throttles the actions of ECS as AWS documents it under "Request throttling for the Amazon ECS API"
// (AmazonECS/latest/APIReference/request-throttling.html): groups of actions share a bucket of tokens, every call takes one,
// and the bucket fills again at a steady rate. "Cluster resource read actions", DescribeTasks and ListTasks together, have 100
// tokens and get 20 a second.
package quota

import (
	"slices"
	"sync"
	"time"
)

// bucket is what a group of actions shares.
type bucket struct {
	burst   float64 // tokens in a full bucket
	rate    float64 // tokens a second
	actions []string
}

// buckets are those of the documentation, as far as the local ECS knows their actions.
var buckets = []bucket{
	{20, 1, []string{"CreateCluster", "DeleteCluster"}},
	{50, 20, []string{"DescribeClusters", "ListClusters"}},
	{20, 1, []string{"RegisterTaskDefinition", "DeregisterTaskDefinition"}},
	{50, 20, []string{"DescribeTaskDefinition", "ListTaskDefinitions", "ListTaskDefinitionFamilies"}},
	{5, 1, []string{"DeleteTaskDefinitions"}},
	{20, 10, []string{"TagResource", "UntagResource"}},
	{50, 20, []string{"ListTagsForResource"}},
	{100, 40, []string{"RunTask", "StopTask"}},
	{100, 20, []string{"DescribeTasks", "ListTasks"}},
	{50, 5, []string{"CreateService", "UpdateService", "DeleteService"}},
	{100, 20, []string{"DescribeServices", "DescribeServiceRevisions", "ListServices"}},
}

// Quotas counts the calls of one account in one Region. The zero value lets every call through, until it is switched on.
type Quotas struct {
	mu     sync.Mutex
	on     bool
	levels []level // of the buckets
}

// level is how full a bucket was at a moment.
type level struct {
	tokens float64
	at     time.Time
}

// Switch begins with full buckets, or lets every call through.
func (q *Quotas) Switch(on bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.on, q.levels = on, make([]level, len(buckets))
	for i, b := range buckets {
		q.levels[i] = level{tokens: b.burst, at: time.Now()}
	}
}

// Exceeded takes a token for a call of an action, and reports whether there was none.
func (q *Quotas) Exceeded(action string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(buckets, func(b bucket) bool { return slices.Contains(b.actions, action) })
	if !q.on || i < 0 {
		return false
	}
	now, l := time.Now(), &q.levels[i]
	l.tokens = min(buckets[i].burst, l.tokens+buckets[i].rate*now.Sub(l.at).Seconds())
	l.at = now
	if l.tokens < 1 {
		return true
	}
	l.tokens--
	return false
}
