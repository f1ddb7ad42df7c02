package taskevent

import (
	"context"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// maxTold bounds how many set-aside messages are remembered, so that each is said once.
const maxTold = 10_000

// sorted is what came, by what is to be done with it.
type sorted struct {
	messages []Message  // one a task, in the order of the first that came
	ignored  []delivery // nothing to do
	poison   []unwanted
}

// unwanted is a message that no work will follow from.
type unwanted struct {
	delivery
	reason string
}

// sort reads what came and counts it. Of several events of one task the one with the highest version stands for all.
func (q *Queue) sort(raw []sqstypes.Message, now time.Time) sorted {
	var (
		out     sorted
		oldest  = now
		byTask  = map[string]int{}
		counted Stats
	)
	for _, m := range raw {
		d := delivery{aws.ToString(m.MessageId), aws.ToString(m.ReceiptHandle)}
		receives, _ := strconv.Atoi(m.Attributes[string(sqstypes.MessageSystemAttributeNameApproximateReceiveCount)])
		sentAt := sent(m, now)
		event, err := Parse([]byte(aws.ToString(m.Body)))
		switch {
		case err != nil:
			out.poison = append(out.poison, unwanted{d, err.Error()})
			counted.Poison++
			continue
		case !q.ofInterest(event):
			out.ignored = append(out.ignored, d)
			counted.Ignored++
			continue
		case receives > q.cfg.MaxReceives:
			out.poison = append(out.poison, unwanted{d, "received " + strconv.Itoa(receives) + " times without success"})
			counted.Exhausted++
			continue
		}
		if sentAt.Before(oldest) {
			oldest = sentAt
		}
		i, again := byTask[event.TaskARN]
		if !again {
			byTask[event.TaskARN] = len(out.messages)
			out.messages = append(out.messages, Message{event, sentAt, receives, []delivery{d}})
			continue
		}
		counted.Duplicates++
		out.messages[i].add(Message{event, sentAt, receives, []delivery{d}})
	}
	q.note(func(s *Stats) {
		s.Poison += counted.Poison
		s.Ignored += counted.Ignored
		s.Exhausted += counted.Exhausted
		s.Duplicates += counted.Duplicates
		s.Lag = now.Sub(oldest)
	})
	return out
}

// add takes another message of the same task in.
func (m *Message) add(other Message) {
	if other.Event.Version > m.Event.Version {
		m.Event = other.Event
	}
	if other.SentAt.Before(m.SentAt) {
		m.SentAt = other.SentAt
	}
	m.Receives = max(m.Receives, other.Receives)
	m.deliveries = append(m.deliveries, other.deliveries...)
}

// sent is when SQS took a message, otherwise where it does not say.
func sent(m sqstypes.Message, otherwise time.Time) time.Time {
	ms, err := strconv.ParseInt(m.Attributes[string(sqstypes.MessageSystemAttributeNameSentTimestamp)], 10, 64)
	if err != nil {
		return otherwise
	}
	return time.UnixMilli(ms)
}

// setAside says once of each message that it is of no use. A queue with a redrive policy moves it to where somebody can look at
// it; in another one it would come again and again, so it is deleted. What the queue has is not always known: it keeps its
// messages until it is.
func (q *Queue) setAside(ctx context.Context, list []unwanted) {
	q.mu.Lock()
	redrives := q.redrives || !q.known
	q.mu.Unlock()
	var gone []delivery
	for _, m := range list {
		if q.firstTime(m.messageID) {
			q.log.Warn("message set aside", "queue", q.cfg.URL, "message_id", m.messageID, "reason", m.reason, "deleted", !redrives)
		}
		if !redrives {
			gone = append(gone, m.delivery)
		}
	}
	if err := q.delete(ctx, gone); err != nil {
		q.log.Warn("messages that were set aside stay in the queue", "queue", q.cfg.URL, "err", err)
	}
}

// firstTime reports whether a message was not told of yet.
func (q *Queue) firstTime(messageID string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, told := q.told[messageID]; told {
		return false
	}
	if len(q.told) >= maxTold {
		clear(q.told)
	}
	q.told[messageID] = struct{}{}
	return true
}
