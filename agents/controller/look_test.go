package controller

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/reap"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

func TestAStoppedTaskLeavesAndALivingOneStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.keeper(t)
	role := w.role(t)
	tasks := w.runTasks(t, 2) // moto gives them no tag at all
	tokens := map[string]*api.ACLToken{}
	for _, task := range tasks {
		w.register(t, task)
		tokens[task.ID] = w.logIn(t, role, task)
	}
	// Neither a service by hand, nor one whose meta is odd, nor one of another ECS cluster's tasks is in the way.
	foreign := []string{"by-hand", "odd"}
	w.registerService(t, &api.AgentService{ID: "by-hand", Service: "by-hand"})
	w.registerService(t, &api.AgentService{ID: "odd", Service: "odd", Meta: map[string]string{mesh.MetaTaskID: "../../x"}})
	other := w.logIn(t, role, taskmeta.Task{ID: tasks[0].ID, ClusterARN: w.self.ClusterARN + "-2"})

	mustLook(t, k)
	if n := len(w.services(t)); n != 6 {
		t.Fatalf("%d services while all tasks live, want 6: %v", n, w.services(t))
	}
	w.stopTask(t, tasks[0])
	mustLook(t, k)
	kept := mesh.ServiceID("web", tasks[1].ID)
	if diff := cmp.Diff(slices.Sorted(slices.Values(append(foreign, kept, mesh.ProxyID(kept)))), slices.Sorted(slices.Values(w.services(t)))); diff != "" {
		t.Errorf("services left (-want +got):\n%s", diff)
	}
	if w.tokenExists(tokens[tasks[0].ID].AccessorID) {
		t.Error("the stopped task's token is still there")
	}
	if !w.tokenExists(tokens[tasks[1].ID].AccessorID) || !w.tokenExists(other.AccessorID) {
		t.Error("a token of a living task, or of another ECS cluster's, is gone")
	}
}

// awsError is an error answer of ECS.
func awsError(code string) (int, map[string]any) {
	return http.StatusBadRequest, map[string]any{"__type": code, "message": "injected"}
}

func TestNoAnswerOfECSHarmsALivingTask(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.keeper(t)
	tasks := w.runTasks(t, 2)
	for _, task := range tasks {
		w.register(t, task)
		w.stopTask(t, task) // so that only the trouble keeps them in the catalog
	}
	before := w.services(t)
	empty := func(action string, answer map[string]any) (int, map[string]any) {
		if action == "ListTasks" {
			return http.StatusOK, map[string]any{"taskArns": []any{}}
		}
		return http.StatusOK, map[string]any{"tasks": []any{}, "failures": []any{}}
	}
	own := map[string]any{"taskArn": w.self.ARN, "lastStatus": "RUNNING"}
	describe := func(change func(map[string]any)) func(string, map[string]any) (int, map[string]any) {
		return func(action string, answer map[string]any) (int, map[string]any) {
			if action == "DescribeTasks" {
				change(answer)
			}
			return http.StatusOK, answer
		}
	}
	for name, tc := range map[string]struct {
		change  func(string, map[string]any) (int, map[string]any)
		wantErr string // "" for none
	}{
		"throttled":    {func(string, map[string]any) (int, map[string]any) { return awsError("ThrottlingException") }, "ThrottlingException"},
		"denied":       {func(string, map[string]any) (int, map[string]any) { return awsError("AccessDeniedException") }, "hint: the controller's task role lacks ecs:ListTasks"},
		"no cluster":   {func(string, map[string]any) (int, map[string]any) { return awsError("ClusterNotFoundException") }, "ClusterNotFoundException"},
		"server error": {func(string, map[string]any) (int, map[string]any) { return 500, map[string]any{} }, "list tasks of ECS cluster"},
		"empty":        {empty, "does not show the controller's own task"},
		"all missing, the controller too": {
			func(action string, answer map[string]any) (int, map[string]any) {
				if action == "ListTasks" {
					return http.StatusOK, map[string]any{"taskArns": []any{}}
				}
				failures := []any{map[string]any{"arn": w.self.ARN, "reason": "MISSING"}}
				for _, task := range tasks {
					failures = append(failures, map[string]any{"arn": task.ARN, "reason": "MISSING"})
				}
				return http.StatusOK, map[string]any{"tasks": []any{}, "failures": failures}
			}, "does not show the controller's own task",
		},
		"describe throttled": {
			func(action string, answer map[string]any) (int, map[string]any) {
				if action == "DescribeTasks" {
					return awsError("ThrottlingException")
				}
				return http.StatusOK, answer
			}, "describe 3 tasks",
		},
		"other failures": {describe(func(answer map[string]any) {
			answer["tasks"] = []any{own}
			answer["failures"] = []any{map[string]any{"arn": tasks[0].ARN, "reason": "ACCESS_DENIED"}, map[string]any{"arn": tasks[1].ARN}}
		}), ""},
		"silence": {describe(func(answer map[string]any) { answer["tasks"] = []any{own} }), ""},
		"draining": {describe(func(answer map[string]any) {
			for _, task := range answer["tasks"].([]any) {
				task.(map[string]any)["lastStatus"] = "DEACTIVATING"
			}
		}), ""},
	} {
		w.trouble.set(tc.change)
		w.minute()
		err := k.look(t.Context())
		if tc.wantErr == "" && err != nil || tc.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tc.wantErr)) {
			t.Errorf("%s: pass = %v, want %q", name, err, tc.wantErr)
		}
		if diff := cmp.Diff(before, w.services(t)); diff != "" {
			t.Fatalf("%s: services changed (-want +got):\n%s", name, diff)
		}
	}
	w.trouble.set(nil)
	mustLook(t, k)
	if left := w.services(t); len(left) > 0 {
		t.Errorf("once ECS answers well, %v are still there", left)
	}
}

func TestAListOfSeveralPagesIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.keeper(t)
	task := w.runTasks(t, 1)[0]
	w.register(t, task)
	page := 0
	w.trouble.set(func(action string, answer map[string]any) (int, map[string]any) {
		if action == "DescribeTasks" {
			t.Error("a listed task was asked for")
		}
		switch page++; page {
		case 1: // nothing on it, and yet not the last
			return http.StatusOK, map[string]any{"taskArns": []any{}, "nextToken": "2"}
		case 2:
			return http.StatusOK, map[string]any{"taskArns": []any{w.self.ARN}, "nextToken": "3"}
		default:
			return http.StatusOK, map[string]any{"taskArns": []any{task.ARN}}
		}
	})
	mustLook(t, k)
	if left := w.services(t); len(left) != 2 || page != 3 {
		t.Errorf("services %v after %d pages, want both after 3", left, page)
	}
}

func TestATaskThatECSDoesNotKnowLeavesAfterAMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.keeper(t)
	lost := taskmeta.Task{ID: strings.Repeat("0", 32), ARN: arnPrefix + strings.Repeat("0", 32), ClusterARN: w.self.ClusterARN}
	w.register(t, lost)
	mustLook(t, k)
	if len(w.services(t)) != 2 || k.state.get().waiting != 1 {
		t.Fatalf("after the first look: services %v, %d tasks waiting", w.services(t), k.state.get().waiting)
	}
	w.minute()
	w.trouble.set(func(action string, answer map[string]any) (int, map[string]any) {
		if action == "DescribeTasks" { // the task was only hard to see
			answer["failures"] = []any{}
			answer["tasks"] = append(answer["tasks"].([]any), map[string]any{"taskArn": lost.ARN, "lastStatus": "RUNNING"})
		}
		return http.StatusOK, answer
	})
	mustLook(t, k)
	w.trouble.set(nil)
	mustLook(t, k)
	if len(w.services(t)) != 2 {
		t.Fatal("a task that ECS knew a moment ago was removed")
	}
	w.minute()
	mustLook(t, k)
	if left := w.services(t); len(left) > 0 {
		t.Errorf("%v left of a task that ECS has not known for a minute", left)
	}
}

func TestTheBrakeHoldsBackWhatECSDoesNotConfirm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.keeper(t)
	for i := range 53 {
		id := fmt.Sprintf("%032d", i)
		w.register(t, taskmeta.Task{ID: id, ARN: arnPrefix + id, ClusterARN: w.self.ClusterARN})
	}
	for _, task := range w.runTasks(t, 60) { // more than the brake lets through, but of these ECS says that they have stopped
		w.register(t, task)
		w.stopTask(t, task)
	}
	mustLook(t, k)
	w.minute()
	mustLook(t, k)
	if left := w.services(t); len(left) != 2*3 || k.state.get().waiting != 3 {
		t.Errorf("%d services left and %d tasks waiting, want those of 3", len(left), k.state.get().waiting)
	}
	if !strings.Contains(w.log.String(), "removals held back: ") {
		t.Errorf("the brake is not logged:\n%s", w.log.String())
	}
	if _, err := k.letThrough(t.Context()); !errors.Is(err, errNotLeading) {
		t.Errorf("a controller that does not lead lets go of the brake: %v", err)
	}
	k.stand(true)
	if tasks, err := k.letThrough(t.Context()); err != nil || tasks != 3 {
		t.Errorf("let through %d tasks, %v, want 3", tasks, err)
	}
	mustLook(t, k)
	if left := w.services(t); len(left) > 0 {
		t.Errorf("%v left of what was let through", left)
	}
}

func TestManyTokensAreDeletedOverAFewConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.keeper(t)
	role := w.role(t)
	for _, task := range w.runTasks(t, 30) {
		w.register(t, task)
		w.logIn(t, role, task)
		w.logIn(t, role, task)
		w.stopTask(t, task)
	}
	mustLook(t, k)
	tokens, _, err := w.consul.ACL().TokenListFiltered(api.ACLTokenFilterOptions{AuthMethod: mesh.AuthMethod}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if left := w.services(t); len(tokens)+len(left) > 0 {
		t.Errorf("%d tokens and %d services left", len(tokens), len(left))
	}
	// Consul's limit is 200 connections from one address. The test's own client is among these.
	if n := connections(t, w.server.HTTPPort); n > 30 {
		t.Errorf("%d connections for 60 tokens and 60 services", n)
	}
}

// connections counts the connections to a port of loopback, those that were closed lately among them.
func connections(t *testing.T, port int) (n int) {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line) // sl, local address, remote address, …
		if strings.HasSuffix(fields[2], fmt.Sprintf(":%04X", port)) {
			n++
		}
	}
	return n
}

func TestOneTroubleDoesNotHideTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.keeper(t)
	var dead []reap.Removal
	for i := range 3 {
		id := fmt.Sprintf("%032d", i)
		w.register(t, taskmeta.Task{ID: id, ClusterARN: w.self.ClusterARN})
		service := mesh.ServiceID("web", id)
		dead = append(dead, reap.Removal{Holding: reap.Holding{TaskID: id, Services: []reap.Service{
			{ID: service, Name: "web"}, {ID: mesh.ProxyID(service), Name: mesh.ProxyName("web")},
		}}})
	}
	dead[0].Tokens = append(dead[0].Tokens, reap.Token{AccessorID: "bad-1"})
	dead[1].Tokens = append(dead[1].Tokens, reap.Token{AccessorID: "bad-2"})
	removed, err := (&catalog{keeper: k, node: w.self.ClusterARN}).Remove(t.Context(), dead)
	for _, want := range []string{"delete ACL token bad-1: ", "delete ACL token bad-2: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Remove = %v, want %q in it", err, want)
		}
	}
	if left := w.services(t); len(left) > 0 || len(removed) != 1 || removed[0].TaskID != dead[2].TaskID {
		t.Errorf("services %v left and %v removed, want none left and the last task removed whole", left, removed)
	}
}

func TestALostNodeIsRegisteredAgainAndTheRestLookedAt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.keeper(t)
	if _, err := w.consul.Catalog().Deregister(&api.CatalogDeregistration{Node: w.self.ClusterARN}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.consul.ACL().AuthMethodDelete(mesh.AuthMethod, nil); err != nil {
		t.Fatal(err)
	}
	mustLook(t, k)
	list, _, err := w.consul.Catalog().NodeServiceList(w.self.ClusterARN, nil)
	if err != nil || list == nil || list.Node == nil {
		t.Fatalf("node is %v, %v", list, err)
	}
	if list.Node.Address != "127.0.0.7" || !maps.Equal(list.Node.Meta, map[string]string{"synthetic-node": "true"}) {
		t.Errorf("node is %+v", list.Node)
	}
	w.logIn(t, w.role(t), w.self) // needs the auth method
}

func TestLostACLObjectsAreMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.keeper(t)
	if in := time.Until(k.state.get().prepareAt); in > prepareAgain {
		t.Errorf("after it wrote, it looks again in %v, want %v", in, prepareAgain)
	}
	// Another controller, which had read the auth method before ours wrote it, overwrites it.
	method, _, err := w.consul.ACL().AuthMethodRead(mesh.AuthMethod, nil)
	if err != nil {
		t.Fatal(err)
	}
	method.Config["BoundIAMPrincipalARNs"] = []string{"arn:aws:iam::999999999999:role/consul-ecs/*"}
	if _, _, err := w.consul.ACL().AuthMethodUpdate(method, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []time.Duration{prepareAgain, prepareEvery} {
		k.state.set(func(s *standing) { s.prepareAt = time.Now() })
		mustLook(t, k)
		if in := time.Until(k.state.get().prepareAt); in > want || in < want-3*time.Second {
			t.Errorf("looks again in %v, want %v", in, want)
		}
	}
	w.logIn(t, w.role(t), w.self)
}
