package taskevent

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
)

// DefaultMaxReceives is how often a message may come before it is set aside, where the configuration says nothing. With SQS's
// usual visibility timeout that is five minutes, after which a full look at ECS finds what the message told of.
const DefaultMaxReceives = 10

const (
	longPoll = 20 * time.Second // SQS's most
	perCall  = 10               // messages, SQS's most
	maxBatch = 1000             // messages
	parallel = 8                // calls at once while the queue is deep

	// A batch is gathered for so long after its first message, and longer while the queue's answers are full: many events at
	// once are then one look at ECS and at Consul.
	gatherTime     = 100 * time.Millisecond
	gatherTimeFull = 500 * time.Millisecond
)

// Config says which queue it is, and which of its events matter.
type Config struct {
	AWS         aws.Config
	URL         string   // of the queue
	ECSClusters []string // ARNs; events of others are deleted unread
	MaxReceives int      // 0 = DefaultMaxReceives
	Logger      hclog.Logger
}

// Queue is an SQS queue of task events. Its methods may be called at the same time.
type Queue struct {
	client *sqs.Client
	cfg    Config
	region string
	log    hclog.Logger

	mu       sync.Mutex
	stats    Stats
	known    bool                // whether redrives holds
	redrives bool                // SQS itself moves what comes too often
	told     map[string]struct{} // IDs of the messages that were set aside and stay in the queue
	depth    Depth
	depthErr error
	asked    time.Time // when depth was last asked for
}

// New is a queue that nobody has called yet. The region is that of the URL, where it names one, else the configuration's.
func New(cfg Config) (*Queue, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || strings.Count(strings.Trim(u.Path, "/"), "/") != 1 {
		return nil, fmt.Errorf("event queue URL %q is not of the form https://sqs.<region>.amazonaws.com/<account>/<name>", cfg.URL)
	}
	if cfg.MaxReceives == 0 {
		cfg.MaxReceives = DefaultMaxReceives
	}
	if region := regionOf(u.Hostname()); region != "" {
		cfg.AWS.Region = region
	}
	return &Queue{client: awsapi.SQS(cfg.AWS), cfg: cfg, region: cfg.AWS.Region, log: cfg.Logger, told: map[string]struct{}{}}, nil
}

// regionOf is the region in one of SQS's own host names, of which there are as many as in the test; "" for every other host.
func regionOf(host string) string {
	parts := strings.Split(host, ".")
	switch {
	case len(parts) < 4 || parts[2] != "amazonaws" && parts[2] != "api":
		return ""
	case parts[0] == "sqs" || parts[0] == "sqs-fips":
		return parts[1]
	case parts[1] == "queue":
		return parts[0]
	}
	return ""
}

// Message is an event that has come, once or several times.
type Message struct {
	Event    Event
	SentAt   time.Time // when the first of them reached the queue
	Receives int       // how often the one that came most often has come

	deliveries []delivery
}

// delivery is what a message is deleted by.
type delivery struct{ messageID, receipt string }

// Receive waits up to 20 seconds for stopped tasks of the ECS clusters, and returns one message a task; none at the end of the
// wait, or if what came was nothing of that kind. Nothing is waited for between calls: after an error the caller decides when
// to try again.
func (q *Queue) Receive(ctx context.Context) ([]Message, error) {
	q.learn(ctx)
	first, err := q.receive(ctx, longPoll)
	if err != nil {
		return nil, err
	}
	if len(first) == 0 {
		q.note(func(s *Stats) { s.Lag = 0 })
		return nil, nil
	}
	raw := append(first, q.drain(ctx, len(first))...)
	sorted := q.sort(raw, time.Now())
	q.setAside(ctx, sorted.poison)
	if err := q.delete(ctx, sorted.ignored); err != nil {
		q.log.Warn("task events of no interest stay in the queue", "queue", q.cfg.URL, "err", err)
	}
	return sorted.messages, nil
}

// drain takes what else is in the queue now, without waiting for more. A call under way is never given up: what it receives
// would be lost to us until its visibility timeout.
func (q *Queue) drain(ctx context.Context, had int) []sqstypes.Message {
	var (
		began = time.Now()
		mu    sync.Mutex
		more  []sqstypes.Message
		group sync.WaitGroup
		pull  func()
		alive = 1
	)
	pull = func() {
		defer group.Done()
		for full := had == perCall; ctx.Err() == nil; {
			mu.Lock()
			enough := had+len(more) > maxBatch-perCall*parallel
			for full && !enough && alive < parallel {
				alive++
				group.Add(1)
				go pull()
			}
			mu.Unlock()
			if took := time.Since(began); enough || took > gatherTimeFull || took > gatherTime && !full {
				return
			}
			got, err := q.receive(ctx, 0)
			if err != nil {
				q.log.Debug("event queue not drained", "queue", q.cfg.URL, "err", err) // the next long poll says it aloud
				return
			}
			if len(got) == 0 {
				return
			}
			full = len(got) == perCall
			mu.Lock()
			more = append(more, got...)
			mu.Unlock()
		}
	}
	group.Add(1)
	pull()
	group.Wait()
	return more
}

// learn asks once whether the queue has a redrive policy. A queue that does not say is left to look after its own messages.
func (q *Queue) learn(ctx context.Context) {
	q.mu.Lock()
	known := q.known
	q.mu.Unlock()
	if known {
		return
	}
	attributes, err := q.attributes(ctx, sqstypes.QueueAttributeNameRedrivePolicy)
	if err != nil && !awsapi.IsAccessDenied(err) {
		return // ReceiveMessage meets the same
	}
	if err != nil {
		q.log.Warn("event queue's redrive policy is not known: unreadable messages stay in it", "queue", q.cfg.URL, "err", err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.known, q.redrives = true, err != nil || attributes[string(sqstypes.QueueAttributeNameRedrivePolicy)] != ""
}

// forget is for a queue that is gone: one of that name may come that is another.
func (q *Queue) forget() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.known, q.asked = false, time.Time{}
}

func (q *Queue) attributes(ctx context.Context, names ...sqstypes.QueueAttributeName) (map[string]string, error) {
	out, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.cfg.URL, AttributeNames: names})
	if err != nil {
		return nil, q.explain("GetQueueAttributes", err)
	}
	return out.Attributes, nil
}

func (q *Queue) ofInterest(e Event) bool {
	return e.Stopped() && slices.Contains(q.cfg.ECSClusters, e.ClusterARN)
}
