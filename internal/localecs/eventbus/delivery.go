package eventbus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const perCall = 10 // messages, SQS's most

// delivery is an event on its way: to whoever the rules say, or, after a failure, to the target that it did not reach.
type delivery struct {
	text     string
	event    any // text, parsed
	at       time.Time
	due      time.Time
	sequence int
	to       string // ARN of the one queue that is left; "" for all
}

// queue is a heap of deliveries: the first to be made is the first.
type queue []*delivery

// Len implements heap.Interface, as the next four do.
func (q queue) Len() int { return len(q) }

// Less puts deliveries of one moment in the order in which they were published.
func (q queue) Less(i, j int) bool {
	return cmp.Or(q[i].due.Compare(q[j].due), cmp.Compare(q[i].sequence, q[j].sequence)) < 0
}

// Swap exchanges two.
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push appends one.
func (q *queue) Push(x any) { *q = append(*q, x.(*delivery)) }

// Pop takes the last.
func (q *queue) Pop() any {
	last := len(*q) - 1
	d := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return d
}

// deliver makes deliveries, and returns those that have to be made again: the emulator did not answer.
func (b *Bus) deliver(ctx context.Context, due []*delivery) (failed []*delivery, err error) {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	if err := b.refresh(ctx, due); err != nil {
		return due, err
	}
	bound := map[string][]*delivery{} // by ARN of the queue
	targets := map[string]*target{}
	var order []string
	for _, d := range due {
		for _, t := range b.targetsOf(d) {
			if targets[t.arn] == nil {
				targets[t.arn] = t
				order = append(order, t.arn)
			}
			bound[t.arn] = append(bound[t.arn], d)
		}
	}
	var errs []error
	for _, arn := range order {
		stay, err := b.send(ctx, targets[arn], bound[arn])
		failed = append(failed, stay...)
		errs = append(errs, err)
	}
	return failed, errors.Join(errs...)
}

// refresh looks at the rules, unless they were looked at after all of these events: a rule that was there when a task changed is
// never missed.
func (b *Bus) refresh(ctx context.Context, due []*delivery) error {
	if !slices.ContainsFunc(due, func(d *delivery) bool { return !d.at.Before(b.knownAt) }) {
		return nil
	}
	began := time.Now()
	rules, problems, err := b.rules(ctx)
	if err != nil {
		return fmt.Errorf("look up rules: %w", err)
	}
	b.known, b.knownAt = rules, began
	for _, p := range problems {
		b.once(p.Error())
	}
	return nil
}

// once logs what is wrong the first time.
func (b *Bus) once(problem string) {
	if !b.told[problem] {
		b.told[problem] = true
		b.log.Warn("events not delivered", "reason", problem)
	}
}

// targetsOf are the queues that get an event. Two rules with one queue make two messages, as in EventBridge.
func (b *Bus) targetsOf(d *delivery) []*target {
	var out []*target
	for _, r := range b.known {
		if !r.pattern.Matches(d.event) {
			continue
		}
		for _, t := range r.targets {
			switch {
			case d.to != "" && d.to != t.arn:
			case t.refused != nil:
				b.note(func(s *Stats) { s.Refused++ })
				b.once(fmt.Sprintf("rule %s, target %s: %v", r.arn, t.arn, t.refused))
			default:
				out = append(out, t)
			}
		}
	}
	return out
}

// send puts events into a queue, and returns those that have to be sent again.
func (b *Bus) send(ctx context.Context, t *target, list []*delivery) (failed []*delivery, err error) {
	again := func(d *delivery) {
		left := *d
		left.to = t.arn
		failed = append(failed, &left)
	}
	for batch := range slices.Chunk(list, perCall) {
		in := &sqs.SendMessageBatchInput{QueueUrl: &t.url}
		for i, d := range batch {
			entry := sqstypes.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: &d.text}
			if t.group != "" {
				entry.MessageGroupId = &t.group
			}
			in.Entries = append(in.Entries, entry)
		}
		out, sendErr := b.queues.SendMessageBatch(ctx, in, func(o *sqs.Options) { o.Region = t.region })
		switch {
		case isNotFound(sendErr): // deleted since the look at the rules
			b.note(func(s *Stats) { s.Refused += len(batch) })
			b.once(fmt.Sprintf("rule %s, target %s: the queue does not exist", t.rule, t.arn))
		case sendErr != nil:
			err = fmt.Errorf("send to %s: %w", t.arn, sendErr)
			for _, d := range batch {
				again(d)
			}
		default:
			b.note(func(s *Stats) { s.Delivered += len(out.Successful) })
			for _, f := range out.Failed {
				failure := fmt.Errorf("send to %s: %s: %s", t.arn, aws.ToString(f.Code), aws.ToString(f.Message))
				i, _ := strconv.Atoi(aws.ToString(f.Id)) // one of ours
				if f.SenderFault {
					b.note(func(s *Stats) { s.Refused++ })
					b.once(failure.Error())
					continue
				}
				err = failure
				again(batch[i])
			}
		}
	}
	return failed, err
}
