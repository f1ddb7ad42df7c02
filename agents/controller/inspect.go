package controller

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentargs"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/lock"
	"github.com/consulecs/terraform-provider-consulecs/internal/reap"
)

// InspectName is the name by which the program is asked for what a controller sees.
const InspectName = "inspect"

// sight is what a controller would see, and do, now.
type sight struct {
	ECSCluster string       `json:"ecs_cluster"`
	Leader     *lock.Leader `json:"leader"` // null while nobody leads
	Tasks      []taskSight  `json:"tasks"`
	Foreign    []string     `json:"foreign_services"` // on the node, but no task's
}

// taskSight is a task of which Consul holds something.
type taskSight struct {
	TaskID    string   `json:"task_id"`
	ECSSays   string   `json:"ecs_says"` // alive, stopped, missing or unknown
	Services  []string `json:"service_ids"`
	Accessors []string `json:"accessor_ids"` // of its tokens
	Would     string   `json:"would"`        // keep, remove, or wait
	Why       string   `json:"why"`
}

// Inspect prints what the controller of the task would see and do, as a table or as JSON. It changes nothing.
func (a Agent) Inspect(ctx context.Context, getenv func(string) string, args []string, stdout, stderr io.Writer) (err error) {
	flags := agentargs.New(InspectName, stderr)
	asJSON := flags.Bool("json", false, "print JSON")
	if err := agentargs.ParseOnly(flags, args); err != nil {
		return err
	}
	k, err := a.newKeeper(ctx, getenv, stderr)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, consul.StartTimeout)
	defer cancel()
	k.rights.firstToken = "" // whoever looks prepares nothing
	if k.consul, err = k.rights.connect(bounded, k.log); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.consul.Close()) }()
	leader, found, err := k.leader(ctx) // of all ECS clusters
	if err != nil {
		return err
	}
	var all []sight
	for _, c := range k.clusters {
		s, err := k.sight(ctx, c)
		if err != nil {
			return err
		}
		if found {
			s.Leader = &leader
		}
		all = append(all, s)
	}
	if *asJSON {
		text := json.NewEncoder(stdout)
		text.SetIndent("", "  ")
		return text.Encode(all)
	}
	return printSights(stdout, all)
}

// sight looks once. What takes two looks it says to be waited for.
func (k *keeper) sight(ctx context.Context, c *ecsCluster) (sight, error) {
	look, err := c.engine.Look(ctx)
	if look.Held == nil {
		return sight{}, err
	}
	s := sight{ECSCluster: c.arn, Tasks: []taskSight{}, Foreign: []string{}}
	var memory reap.Memory
	plan, would := memory.Decide(look, c.engine.Limits), map[string]string{}
	for _, r := range plan.Removals {
		would[r.TaskID] = "remove"
	}
	for _, r := range plan.Waiting {
		would[r.TaskID] = "wait"
	}
	for id, h := range look.Held {
		if !reap.IsTaskID(id) {
			for _, service := range h.Services {
				s.Foreign = append(s.Foreign, service.ID)
			}
			continue
		}
		t := taskSight{TaskID: id, ECSSays: look.Verdicts[id].String(), Services: []string{}, Accessors: []string{}, Would: cmp.Or(would[id], "keep"), Why: why(look, id, k.task.ID)}
		for _, service := range h.Services {
			t.Services = append(t.Services, service.ID)
		}
		for _, token := range h.Tokens {
			t.Accessors = append(t.Accessors, token.AccessorID)
		}
		s.Tasks = append(s.Tasks, t)
	}
	slices.SortFunc(s.Tasks, func(a, b taskSight) int { return strings.Compare(a.Would+a.TaskID, b.Would+b.TaskID) })
	slices.Sort(s.Foreign)
	return s, err
}

func why(look reap.Look, id, own string) string {
	switch v := look.Verdicts[id]; {
	case id == own:
		return "it is the controller's own"
	case v == reap.Alive:
		return "ECS knows it, and it has not stopped"
	case v == reap.Stopped:
		return "ECS says that it has stopped"
	case v == reap.Missing:
		return "ECS does not know it: that counts after a minute, in look after look"
	}
	return "ECS gave no answer about it"
}

func printSights(out io.Writer, all []sight) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range all {
		leader := "nobody"
		if s.Leader != nil {
			leader = fmt.Sprintf("%s since %s", s.Leader.Holder, s.Leader.Since.Format(time.RFC3339))
		}
		fmt.Fprintf(w, "ECS cluster %s\nleader      %s\n\nWOULD\tTASK\tECS SAYS\tSERVICES\tTOKENS\tWHY\n", s.ECSCluster, leader)
		for _, t := range s.Tasks {
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\n", t.Would, t.TaskID, t.ECSSays, len(t.Services), len(t.Accessors), t.Why)
		}
		if len(s.Foreign) > 0 {
			fmt.Fprintf(w, "\nno task's, left alone: %s\n", strings.Join(s.Foreign, ", "))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}
