package taskevent

import (
	"context"
	"strconv"
	"time"

	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// depthInterval is how often SQS is asked for a queue's depth at the most. The numbers are estimates that lag by a minute.
const depthInterval = time.Minute

// Stats is what has happened since New, for metrics and for a judgement of whether events work.
type Stats struct {
	Received    int64         // messages that came, each time they came
	Done        int64         // messages deleted
	Ignored     int64         // messages of tasks that have not stopped, or of another ECS cluster
	Poison      int64         // messages that are not the event of a task
	Exhausted   int64         // messages that came too often
	Duplicates  int64         // messages of a task that was in their batch already
	Undeleted   int64         // messages that SQS did not delete when asked
	Errors      int64         // calls that failed, with all their attempts
	LastReceive time.Time     // when SQS last answered ReceiveMessage, with messages or without; zero: never
	Lag         time.Duration // how long the oldest event of the last batch had been in the queue; 0 once it was empty
}

// Depth is SQS's estimate of what is in a queue. SQS does not say how old the oldest message is: see Stats.Lag.
type Depth struct {
	Waiting  int64 // messages that the next ReceiveMessage may return
	InFlight int64 // received, neither deleted nor visible again
	Delayed  int64 // not yet visible
	At       time.Time
}

// Stats is a copy of the counts.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stats
}

// note changes the counts.
func (q *Queue) note(change func(*Stats)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	change(&q.stats)
}

// Depth asks SQS for the queue's depth, once a minute at the most; in between it returns the last answer.
func (q *Queue) Depth(ctx context.Context) (Depth, error) {
	q.mu.Lock()
	if time.Since(q.asked) < depthInterval {
		defer q.mu.Unlock()
		return q.depth, q.depthErr
	}
	q.asked = time.Now()
	q.mu.Unlock()
	attributes, err := q.attributes(ctx, sqstypes.QueueAttributeNameApproximateNumberOfMessages,
		sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible, sqstypes.QueueAttributeNameApproximateNumberOfMessagesDelayed)
	number := func(name sqstypes.QueueAttributeName) int64 {
		n, _ := strconv.ParseInt(attributes[string(name)], 10, 64) // SQS writes numbers
		return n
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.depthErr = err; err == nil {
		q.depth = Depth{
			Waiting:  number(sqstypes.QueueAttributeNameApproximateNumberOfMessages),
			InFlight: number(sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible),
			Delayed:  number(sqstypes.QueueAttributeNameApproximateNumberOfMessagesDelayed), At: q.asked,
		}
	}
	return q.depth, q.depthErr
}
