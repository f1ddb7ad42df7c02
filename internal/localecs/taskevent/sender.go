package taskevent

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
)

const (
	maxWaiting   = 10_000 // events; beyond that the oldest are dropped, as EventBridge too gives up in the end
	sendTimeout  = 5 * time.Second
	flushTimeout = 2 * time.Second
	firstRetry   = 200 * time.Millisecond
	lastRetry    = 5 * time.Second
)

// Config is what a sender has to know. The emulator takes any credentials.
type Config struct {
	EmulatorURL, QueueURL string // QueueURL "" = events go nowhere
	Account               names.Account
	Logger                hclog.Logger
}

// Sender delivers events in order, in the background, each until it has arrived.
type Sender struct {
	client  *sqs.Client
	account names.Account
	log     hclog.Logger
	wake    chan struct{}
	stopped chan struct{} // closed once run has returned

	mu      sync.Mutex
	queue   string
	waiting []string
	cancel  context.CancelFunc
}

// NewSender starts a sender. Close ends it.
func NewSender(cfg Config) *Sender {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Sender{
		client: sqs.New(sqs.Options{
			Region: cfg.Account.Region, BaseEndpoint: aws.String(cfg.EmulatorURL), Credentials: aws.CredentialsProviderFunc(testCredentials),
		}),
		account: cfg.Account, log: cfg.Logger, queue: cfg.QueueURL,
		wake: make(chan struct{}, 1), stopped: make(chan struct{}), cancel: cancel,
	}
	go s.run(ctx)
	return s
}

func testCredentials(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
}

// SetQueue sends events to another queue from now on; "" drops them.
func (s *Sender) SetQueue(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = url
}

// Send tells of the task as it is at now. It never blocks.
func (s *Sender) Send(task ecstypes.Task, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue == "" {
		return
	}
	event, err := Marshal(task, s.account, now)
	if err != nil {
		s.log.Error("task event lost", "task_arn", aws.ToString(task.TaskArn), "err", err)
		return
	}
	if len(s.waiting) == maxWaiting {
		s.log.Error("task event lost", "task_arn", aws.ToString(task.TaskArn), "waiting", maxWaiting)
		s.waiting = s.waiting[1:]
	}
	s.waiting = append(s.waiting, string(event))
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Close gives what still waits a moment to arrive, then ends the sender.
func (s *Sender) Close() {
	deadline := time.Now().Add(flushTimeout)
	for s.pending() > 0 && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	s.cancel()
	<-s.stopped
}

func (s *Sender) pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting)
}

func (s *Sender) run(ctx context.Context) {
	defer close(s.stopped)
	retry := firstRetry
	for {
		sent, err := s.deliver(ctx)
		var wait <-chan time.Time
		switch {
		case err != nil && ctx.Err() == nil:
			s.log.Warn("task event retried", "retry_in", retry, "err", err)
			wait = time.After(retry)
			retry = min(2*retry, lastRetry)
		case sent:
			retry = firstRetry
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-wait:
		case <-s.wake:
		}
	}
}

// deliver sends the oldest event. sent is false if there is none.
func (s *Sender) deliver(ctx context.Context) (sent bool, err error) {
	s.mu.Lock()
	if len(s.waiting) == 0 {
		s.mu.Unlock()
		return false, nil
	}
	event, queue := s.waiting[0], s.queue
	s.mu.Unlock()
	if queue != "" {
		ctx, cancel := context.WithTimeout(ctx, sendTimeout)
		defer cancel()
		if _, err := s.client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &queue, MessageBody: &event}); err != nil {
			return false, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) > 0 && s.waiting[0] == event {
		s.waiting = s.waiting[1:]
	}
	return true, nil
}
