package controllerbench

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// message is one of the queue's.
type message struct {
	body     string
	sent     time.Time
	received int
	hidden   time.Time // until when nobody gets it
}

// simSQS is one queue. Deliveries are in order, and no message is lost or doubled: those are other tests' matter.
type simSQS struct {
	mu       sync.Mutex
	messages map[string]*message
	order    []string      // IDs as they came; deleted ones are skipped
	came     chan struct{} // closed when something came
}

const (
	visibility = 30 * time.Second // SQS's own default
	lookAgain  = 100 * time.Millisecond
)

func newQueue() *simSQS {
	return &simSQS{messages: map[string]*message{}, came: make(chan struct{})}
}

func (q *simSQS) send(bodies []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, body := range bodies {
		id := newID()
		q.messages[id] = &message{body: body, sent: time.Now()}
		q.order = append(q.order, id)
	}
	close(q.came)
	q.came = make(chan struct{})
}

type receiveInput struct {
	MaxNumberOfMessages, WaitTimeSeconds, VisibilityTimeout *int
}

// receive is ReceiveMessage, a long poll where it is asked for.
func (q *simSQS) receive(ctx context.Context, in receiveInput) map[string]any {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(orElse(in.WaitTimeSeconds, 0))*time.Second)
	defer cancel()
	for {
		found, came := q.take(orElse(in.MaxNumberOfMessages, 1), time.Duration(orElse(in.VisibilityTimeout, int(visibility/time.Second)))*time.Second)
		if len(found) > 0 {
			return map[string]any{"Messages": found}
		}
		select {
		case <-came:
		case <-time.After(lookAgain): // one that was hidden may be seen again
		case <-ctx.Done():
			return map[string]any{}
		}
	}
}

func (q *simSQS) take(most int, hide time.Duration) (found []any, came <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for len(q.order) > 0 && q.messages[q.order[0]] == nil {
		q.order = q.order[1:]
	}
	for _, id := range q.order {
		m := q.messages[id]
		if m == nil || now.Before(m.hidden) {
			continue
		}
		if len(found) == most {
			break
		}
		m.hidden, m.received = now.Add(hide), m.received+1
		sum := md5.Sum([]byte(m.body))
		found = append(found, map[string]any{
			"MessageId": id, "ReceiptHandle": id, "Body": m.body, "MD5OfBody": hex.EncodeToString(sum[:]),
			"Attributes": map[string]string{
				"SentTimestamp": millis(m.sent), "ApproximateReceiveCount": strconv.Itoa(m.received), "ApproximateFirstReceiveTimestamp": millis(now),
			},
		})
	}
	return found, q.came
}

func (q *simSQS) remove(handles ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, h := range handles {
		delete(q.messages, h)
	}
}

// left is how many messages nobody has deleted.
func (q *simSQS) left() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages)
}

func (q *simSQS) hide(handle string, seconds int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if m := q.messages[handle]; m != nil {
		m.hidden = time.Now().Add(time.Duration(seconds) * time.Second)
	}
}

// batchEntry is one of a batch of deletions or changes.
type batchEntry struct {
	ID                string `json:"Id"`
	ReceiptHandle     string
	VisibilityTimeout int
}

// batch does to each entry and says that all went well.
func batch(entries []batchEntry, do func(batchEntry)) map[string]any {
	done := []any{}
	for _, e := range entries {
		do(e)
		done = append(done, map[string]string{"Id": e.ID})
	}
	return map[string]any{"Successful": done, "Failed": []any{}}
}

func (q *simSQS) attributes() map[string]any {
	q.mu.Lock()
	defer q.mu.Unlock()
	now, visible := time.Now(), 0
	for _, m := range q.messages {
		if !now.Before(m.hidden) {
			visible++
		}
	}
	return map[string]any{"Attributes": map[string]string{
		"ApproximateNumberOfMessages": strconv.Itoa(visible), "ApproximateNumberOfMessagesNotVisible": strconv.Itoa(len(q.messages) - visible),
		"ApproximateNumberOfMessagesDelayed": "0", "VisibilityTimeout": fmt.Sprint(int(visibility / time.Second)),
	}}
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

func orElse(p *int, otherwise int) int {
	if p == nil {
		return otherwise
	}
	return *p
}
