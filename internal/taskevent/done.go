package taskevent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	deleteAttempts = 3
	deleteRetry    = 200 * time.Millisecond // after the first attempt, twice as long after the next
)

// Done deletes messages whose work is done. An error says how many stay: they come again, which costs a look and does no harm.
func (q *Queue) Done(ctx context.Context, messages []Message) error {
	var all []delivery
	for _, m := range messages {
		all = append(all, m.deliveries...)
	}
	return q.delete(ctx, all)
}

// delete makes a call for every ten messages, several at once.
func (q *Queue) delete(ctx context.Context, list []delivery) error {
	var (
		mu    sync.Mutex
		errs  []error
		group sync.WaitGroup
		slots = make(chan struct{}, parallel)
	)
	for batch := range slices.Chunk(list, perCall) {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			stay, err := q.deleteBatch(ctx, batch)
			q.note(func(s *Stats) { s.Done += int64(len(batch) - stay); s.Undeleted += int64(stay) })
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, fmt.Errorf("%d of %d messages not deleted: %w", stay, len(batch), err))
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// deleteBatch repeats what SQS could not do for a reason of its own. A receipt that SQS does not take is not offered again.
func (q *Queue) deleteBatch(ctx context.Context, batch []delivery) (stay int, err error) {
	entries := make([]sqstypes.DeleteMessageBatchRequestEntry, len(batch))
	for i, d := range batch {
		entries[i] = sqstypes.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(d.receipt)}
	}
	var refused []error
	wait := deleteRetry
	for attempt := 1; ; attempt++ {
		out, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &q.cfg.URL, Entries: entries})
		if err != nil {
			q.note(func(s *Stats) { s.Errors++ })
			return len(refused) + len(entries), errors.Join(append(refused, q.explain("DeleteMessageBatch", err))...)
		}
		var again []sqstypes.DeleteMessageBatchRequestEntry
		for _, f := range out.Failed {
			i, convErr := strconv.Atoi(aws.ToString(f.Id))
			if convErr != nil || i < 0 || i >= len(batch) {
				continue // an answer to what nobody asked
			}
			if f.SenderFault || attempt == deleteAttempts {
				refused = append(refused, fmt.Errorf("delete message %s: %s: %s", batch[i].messageID, aws.ToString(f.Code), aws.ToString(f.Message)))
				continue
			}
			again = append(again, sqstypes.DeleteMessageBatchRequestEntry{Id: f.Id, ReceiptHandle: aws.String(batch[i].receipt)})
		}
		if len(again) == 0 {
			return len(refused), errors.Join(refused...)
		}
		entries = again
		select {
		case <-ctx.Done():
			return len(refused) + len(entries), errors.Join(append(refused, ctx.Err())...)
		case <-time.After(wait):
			wait *= 2
		}
	}
}
