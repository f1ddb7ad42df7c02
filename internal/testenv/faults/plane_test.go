package faults

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/api"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/control"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/eventbus"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/quota"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// account is where all of it is.
var account = names.Account{Region: "us-east-1", ID: "123456789012"}

// plane is localecs without its engine: its API, its control plane and its events are what the other worlds have, but the tasks
// have no containers, so that hundreds of them live and die within seconds. What is not ECS, moto answers.
type plane struct {
	*httptest.Server
	control *control.Control
	bus     *eventbus.Bus
	acts    sync.WaitGroup
	drained sync.Map // by the ARN of an ECS cluster, what is told of a task that has drained, before it stops
}

// How long the lives of such tasks take.
const (
	startTime = 200 * time.Millisecond // from PENDING to RUNNING
	drainTime = 2 * time.Second        // the most, from the wish to stop to STOPPED
)

func startPlane(stateFile, moto string) (*plane, error) {
	p := &plane{bus: eventbus.New(eventbus.Config{
		EmulatorURL: moto, Account: account, Disorder: eventbus.DefaultDisorder(), Logger: hclog.NewNullLogger(),
	})}
	var err error
	p.control, err = control.New(control.Config{
		Account: account, StateFile: stateFile, Logger: hclog.NewNullLogger(),
		Run: p.run, Stop: p.stop, SetTags: func(string, []ecstypes.Tag) {}, Publish: p.bus.Publish,
	})
	if err != nil {
		p.bus.Close()
		return nil, err
	}
	emulator, err := url.Parse(moto)
	if err != nil {
		return nil, err
	}
	ecs := api.New(p.control, emulator, http.NotFoundHandler(), &quota.Quotas{}, hclog.NewNullLogger())
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if arn, metadata := strings.CutPrefix(r.URL.Path, "/v4/"); metadata {
			_ = json.NewEncoder(w).Encode(metadataOf(strings.TrimSuffix(arn, "/task")))
			return
		}
		ecs.ServeHTTP(w, r)
	}))
	p.control.Start()
	return p, nil
}

func (p *plane) close() {
	p.Server.CloseClientConnections()
	p.Server.Close()
	p.acts.Wait()
	p.control.Close()
	p.bus.Close()
}

// metadataOf is what the metadata endpoint tells a controller's task.
func metadataOf(arn string) map[string]any {
	cluster, _, _ := strings.Cut(strings.Split(arn, ":task/")[1], "/")
	return map[string]any{
		"Cluster": account.Cluster(cluster), "TaskARN": arn, "Family": controllerFamily,
		"Containers": []any{map[string]any{
			"Name": mesh.ContainerController, "Networks": []any{map[string]any{"NetworkMode": "awsvpc", "IPv4Addresses": []string{"10.0.0.7"}}},
		}},
	}
}

// run starts a task that has nothing to start.
func (p *plane) run(task engine.Task) {
	status := engine.Status{TaskARN: task.ARN, LastStatus: engine.StatusPending, DesiredStatus: engine.StatusRunning}
	p.control.Changed(status)
	p.acts.Go(func() {
		time.Sleep(startTime)
		status.LastStatus, status.StartedAt = engine.StatusRunning, aws.Time(time.Now())
		p.control.Changed(status)
	})
}

// stop has a task drain for a while, and stop then.
func (p *plane) stop(arn string, code ecstypes.TaskStopCode, reason string) {
	p.acts.Go(func() {
		status := engine.Status{TaskARN: arn, LastStatus: engine.StatusDeactivating, DesiredStatus: engine.StatusStopped, StopCode: code, StoppedReason: reason}
		p.control.Changed(status)
		time.Sleep(startTime + rand.N(drainTime-startTime))
		cluster, id, _ := strings.Cut(strings.Split(arn, ":task/")[1], "/")
		if tell, watched := p.drained.Load(account.Cluster(cluster)); watched {
			tell.(func(id string))(id)
		}
		p.end(arn, code, reason)
	})
}

// kill has a task be gone at once, as the loss of its host would.
func (p *plane) kill(arn string) {
	p.end(arn, ecstypes.TaskStopCodeEssentialContainerExited, "Essential container in task exited")
}

func (p *plane) end(arn string, code ecstypes.TaskStopCode, reason string) {
	p.control.Changed(engine.Status{
		TaskARN: arn, LastStatus: engine.StatusStopped, DesiredStatus: engine.StatusStopped, StopCode: code, StoppedReason: reason,
		StoppingAt: aws.Time(time.Now()), StoppedAt: aws.Time(time.Now()),
	})
}
