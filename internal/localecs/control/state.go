package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/atomicfile"
	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
)

// state is everything that survives a restart, as one JSON file. What nested pointers and slices lead to is never
// written into, only replaced: answers that are on their way to a caller may still hold them.
type state struct {
	Clusters map[string]*cluster // by name
	Families map[string]*family  // by name
	Tasks    map[string]*task    // by ARN
	Services map[string]*service // by ARN
	Runs     map[string]run      // RunTask's answers, by cluster and client token
}

// cluster holds no counts: they are worked out when asked for.
type cluster struct{ ecstypes.Cluster }

type family struct {
	Last      int32 // the highest revision ever given
	Revisions map[int32]*revision
}

type revision struct {
	Definition ecstypes.TaskDefinition
	Tags       []ecstypes.Tag
}

// storedRevision is a revision with its definition as AWS's JSON: encoding/json cannot read the SDK's unions back.
type storedRevision struct {
	Definition json.RawMessage
	Tags       []ecstypes.Tag
}

// MarshalJSON implements json.Marshaler.
func (r revision) MarshalJSON() ([]byte, error) {
	definition, err := awsjson.Marshal(r.Definition)
	if err != nil {
		return nil, err
	}
	return json.Marshal(storedRevision{definition, r.Tags})
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *revision) UnmarshalJSON(text []byte) error {
	var stored storedRevision
	if err := json.Unmarshal(text, &stored); err != nil {
		return err
	}
	r.Tags = stored.Tags
	return awsjson.Unmarshal(stored.Definition, &r.Definition)
}

type task struct {
	ecstypes.Task
	ServiceARN string // "" for a task that RunTask started
	SubnetID   string
	Given      *ecstypes.TaskOverride // overrides as they were asked for
}

// service holds neither counts nor deployments: they are worked out of its rollouts and tasks.
type service struct {
	ecstypes.Service
	Rollouts    []*rollout // newest first; the first is the PRIMARY deployment
	LastGood    *rollout   // the last one that completed
	Lattice     []ecstypes.VpcLatticeConfiguration
	Monitoring  *ecstypes.MonitoringConfiguration
	Token       string // client token of CreateService
	Fingerprint string // of what CreateService was given
	Steady      bool
	InactiveAt  *time.Time
}

// rollout is one deployment of a service.
type rollout struct {
	ecstypes.Deployment
	DiedYoung     int       // tasks in a row that failed to start or hardly ran
	NoStartBefore time.Time // the throttle that follows from it
	Proven        bool      // a task of it was healthy: its failures count no longer
	Tags          []ecstypes.Tag
	Platform      string // Fargate's version that was asked for
	Monitoring    *ecstypes.MonitoringConfiguration
}

type run struct {
	Fingerprint string
	Tasks       []string // ARNs
	At          time.Time
}

func emptyState() state {
	return state{
		Clusters: map[string]*cluster{}, Families: map[string]*family{}, Tasks: map[string]*task{},
		Services: map[string]*service{}, Runs: map[string]run{},
	}
}

// load reads the state file; none is an empty state.
func load(file string) (state, error) {
	s := emptyState()
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("read state: %w", err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("read state %s: %w\nhint: remove the file to start with an empty ECS", file, err)
	}
	return s, nil
}

// save replaces the state file in one step, so that a crash leaves the old one or the new one.
func save(file string, text []byte) error {
	if err := atomicfile.Write(file, bytes.NewReader(text), 0o600); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}
