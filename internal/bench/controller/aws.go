package controllerbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// awsDelay is how long AWS's answers take, beyond what the simulation needs.
const awsDelay = 20 * time.Millisecond

type rawJSON = json.RawMessage

// traffic is what was asked of a server, by call.
type traffic struct {
	Calls map[string]int
	Bytes int64 // of requests and answers
}

func (t traffic) since(before traffic) traffic {
	d := traffic{Calls: map[string]int{}, Bytes: t.Bytes - before.Bytes}
	for call, n := range t.Calls {
		if n -= before.Calls[call]; n > 0 {
			d.Calls[call] = n
		}
	}
	return d
}

// of counts the calls that want says.
func (t traffic) of(want func(call string) bool) (n int) {
	for call, times := range t.Calls {
		if want(call) {
			n += times
		}
	}
	return n
}

// counter counts traffic.
type counter struct {
	mu  sync.Mutex
	sum traffic
}

func (c *counter) count(call string, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sum.Calls == nil {
		c.sum.Calls = map[string]int{}
	}
	c.sum.Calls[call]++
	c.sum.Bytes += bytes
}

func (c *counter) now() traffic {
	c.mu.Lock()
	defer c.mu.Unlock()
	return traffic{maps.Clone(c.sum.Calls), c.sum.Bytes}
}

// simAWS is a server that speaks as much of ECS, SQS, STS and IAM as a controller and logins need, and as the metadata
// endpoint of the controller's task. STS and IAM believe every signature: who signs with a name for a key has the role of that
// name, which is tagged with it as the service.
type simAWS struct {
	url     string
	server  *http.Server
	ecs     simECS
	queue   *simSQS
	self    *simTask // the controller's own
	counted counter  // calls of the controller
}

const (
	controllerRole = "bench-controller" // of the controller's task
	selfAddress    = "10.0.0.99"        // of the controller's task, where nobody listens
)

func startAWS() (*simAWS, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &simAWS{url: "http://" + l.Addr().String(), ecs: simECS{tasks: map[string]*simTask{}}, queue: newQueue()}
	a.self = a.ecs.start("consul-ecs-controller")
	a.server = &http.Server{Handler: http.HandlerFunc(a.serve), ReadHeaderTimeout: 5 * time.Second}
	go a.server.Serve(l)
	return a, nil
}

func (a *simAWS) stop() error { return a.server.Close() }

// metadata is the URL of the controller's task metadata, queueURL that of its queue.
func (a *simAWS) metadata() string { return a.url + "/v4/" + a.self.id }
func (a *simAWS) queueURL() string { return a.url + "/" + account.ID + "/events" }

func (a *simAWS) serve(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/v4/") {
		_ = json.NewEncoder(w).Encode(a.taskMetadata())
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // whoever asked has gone
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, identity(r.Header.Get("Authorization"), string(body)))
		return
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	time.Sleep(awsDelay)
	status := http.StatusOK
	answer, err := a.answer(r.Context(), operation, body)
	if err != nil {
		kind, text, _ := strings.Cut(err.Error(), ": ")
		status, answer = http.StatusBadRequest, map[string]any{"__type": kind, "message": text}
	}
	text, _ := json.Marshal(answer)
	a.counted.count(operation, int64(len(body)+len(text)))
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

// ask reads what an operation is asked, and has it answered.
func ask[In any](body []byte, answer func(In) (map[string]any, error)) (map[string]any, error) {
	var in In
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, fmt.Errorf("SerializationException: %w", err)
	}
	return answer(in)
}

// well is for answers that cannot fail.
func well[In any](answer func(In) map[string]any) func(In) (map[string]any, error) {
	return func(in In) (map[string]any, error) { return answer(in), nil }
}

func (a *simAWS) answer(ctx context.Context, operation string, body []byte) (map[string]any, error) {
	type one struct {
		ReceiptHandle     string
		VisibilityTimeout int
	}
	type many struct{ Entries []batchEntry }
	switch operation {
	case "ListTasks":
		return ask(body, well(a.ecs.listTasks))
	case "DescribeTasks":
		return ask(body, a.ecs.describeTasks)
	case "DescribeTaskDefinition":
		return ask(body, describeDefinition)
	case "ReceiveMessage":
		return ask(body, well(func(in receiveInput) map[string]any { return a.queue.receive(ctx, in) }))
	case "DeleteMessage":
		return ask(body, well(func(in one) map[string]any { a.queue.remove(in.ReceiptHandle); return map[string]any{} }))
	case "DeleteMessageBatch":
		return ask(body, well(func(in many) map[string]any {
			return batch(in.Entries, func(e batchEntry) { a.queue.remove(e.ReceiptHandle) })
		}))
	case "ChangeMessageVisibility":
		return ask(body, well(func(in one) map[string]any {
			a.queue.hide(in.ReceiptHandle, in.VisibilityTimeout)
			return map[string]any{}
		}))
	case "ChangeMessageVisibilityBatch":
		return ask(body, well(func(in many) map[string]any {
			return batch(in.Entries, func(e batchEntry) { a.queue.hide(e.ReceiptHandle, e.VisibilityTimeout) })
		}))
	case "GetQueueAttributes":
		return a.queue.attributes(), nil
	}
	return nil, errors.New("UnknownOperationException: " + operation)
}

func (a *simAWS) taskMetadata() map[string]any {
	return map[string]any{
		"Cluster": ecsCluster, "TaskARN": account.Task(ecsClusterName, a.self.id), "Family": a.self.family, "Revision": "1",
		"DesiredStatus": "RUNNING", "KnownStatus": "RUNNING", "AvailabilityZone": account.Region + "a",
		"Containers": []any{map[string]any{
			"Name": "consul-ecs-controller", "Type": "NORMAL", "DesiredStatus": "RUNNING", "KnownStatus": "RUNNING",
			"Networks": []any{map[string]any{"NetworkMode": "awsvpc", "IPv4Addresses": []string{selfAddress}}},
		}},
	}
}

// identity answers as STS or IAM about the role of whoever signed.
func identity(authorization, form string) string {
	_, role, _ := strings.Cut(authorization, "Credential=")
	role, _, _ = strings.Cut(role, "/")
	if strings.Contains(form, "Action=GetRole") {
		return fmt.Sprintf(`<GetRoleResponse><GetRoleResult><Role><Path>/consul-ecs/</Path><Arn>arn:aws:iam::%[1]s:role/consul-ecs/%[2]s</Arn>`+
			`<RoleName>%[2]s</RoleName><RoleId>AROABENCH</RoleId><Tags><member><Key>consul.hashicorp.com.service-name</Key><Value>%[2]s</Value></member></Tags>`+
			`</Role></GetRoleResult></GetRoleResponse>`, account.ID, role)
	}
	return fmt.Sprintf(`<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::%[1]s:assumed-role/%[2]s/task</Arn>`+
		`<UserId>AROABENCH:task</UserId><Account>%[1]s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, account.ID, role)
}
