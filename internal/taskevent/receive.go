package taskevent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	smithymiddleware "github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
)

// receive makes one call, which waits for so long if there is nothing.
func (q *Queue) receive(ctx context.Context, wait time.Duration) ([]sqstypes.Message, error) {
	var options []func(*sqs.Options)
	if wait == 0 {
		options = append(options, sqs.WithAPIOptions(sayNoWait))
	}
	out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.cfg.URL, MaxNumberOfMessages: perCall, WaitTimeSeconds: int32(wait / time.Second),
		MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{
			sqstypes.MessageSystemAttributeNameApproximateReceiveCount, sqstypes.MessageSystemAttributeNameSentTimestamp,
		},
	}, options...)
	if err != nil {
		if awsapi.IsNotFound(err) {
			q.forget()
		}
		q.note(func(s *Stats) { s.Errors++ })
		return nil, q.explain("ReceiveMessage", err)
	}
	q.note(func(s *Stats) { s.Received += int64(len(out.Messages)); s.LastReceive = time.Now() })
	return out.Messages, nil
}

// sayNoWait writes a wait of zero into the request. The SDK leaves zeros out, and then the queue's own setting counts, which may
// be 20 seconds.
func sayNoWait(stack *smithymiddleware.Stack) error {
	return stack.Serialize.Insert(smithymiddleware.SerializeMiddlewareFunc("consulecs.NoWait",
		func(ctx context.Context, in smithymiddleware.SerializeInput, next smithymiddleware.SerializeHandler) (smithymiddleware.SerializeOutput, smithymiddleware.Metadata, error) {
			request, err := withoutWait(in.Request)
			if err != nil {
				return smithymiddleware.SerializeOutput{}, smithymiddleware.Metadata{}, fmt.Errorf("ask without a wait: %w", err)
			}
			in.Request = request
			return next.HandleSerialize(ctx, in)
		}), "OperationSerializer", smithymiddleware.After)
}

func withoutWait(request any) (any, error) {
	r, ok := request.(*smithyhttp.Request)
	if !ok {
		return nil, fmt.Errorf("%T is not a request over HTTP", request)
	}
	text, err := io.ReadAll(r.GetStream())
	if err != nil {
		return nil, err
	}
	body := map[string]any{}
	if err := json.Unmarshal(text, &body); err != nil {
		return nil, err
	}
	body["WaitTimeSeconds"] = 0
	if text, err = json.Marshal(body); err != nil {
		return nil, err
	}
	return r.SetStream(bytes.NewReader(text))
}
