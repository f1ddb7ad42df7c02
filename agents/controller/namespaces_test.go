package controller

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// tags has ECS show tags of tasks, by their IDs, and returns how many tasks were asked for with theirs in each call so far.
func (w *world) tags(of map[string][2]string) (asked *[]int) {
	asked = &[]int{}
	w.trouble.set(func(action string, answer map[string]any) (int, map[string]any) {
		if action != "DescribeTasks" {
			return http.StatusOK, answer
		}
		described := answer["tasks"].([]any)
		*asked = append(*asked, len(described))
		for _, task := range described {
			task := task.(map[string]any)
			tags, found := of[nameOf(task["taskArn"].(string))]
			if !found {
				continue
			}
			task["tags"] = []any{
				map[string]any{"key": mesh.TaskTagMesh, "value": "true"},
				map[string]any{"key": mesh.TaskTagPartition, "value": tags[0]}, map[string]any{"key": mesh.TaskTagNamespace, "value": tags[1]},
			}
		}
		return http.StatusOK, answer
	})
	return asked
}

func TestTheNamespacesOfRunningTasksAreReadOnceOfEach(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	view := w.views()[0]
	tasks := w.runTasks(t, 5)
	asked := w.tags(map[string][2]string{
		tasks[0].ID: {"part", "shop"}, tasks[1].ID: {"part", "bank"}, tasks[2].ID: {"other", "mint"}, tasks[3].ID: {"part", ""},
	}) // the last one, and the controller's own, are in no mesh
	running := map[string]bool{w.self.ID: true}
	for i, step := range []struct {
		starts int
		want   []string
		asked  []int // so far
	}{
		{3, []string{"bank", "shop"}, []int{4}},
		{3, []string{"bank", "shop"}, []int{4, 1}}, // once more about the one without a mesh tag
		{5, []string{"bank", "shop"}, []int{4, 1, 3}},
	} {
		for _, task := range tasks[:step.starts] {
			running[task.ID] = true
		}
		names, err := view.Namespaces(t.Context(), running, "part")
		if diff := cmp.Diff(step.want, names); diff != "" || err != nil {
			t.Errorf("step %d: %v, namespaces (-want +got):\n%s", i, err, diff)
		}
		if diff := cmp.Diff(step.asked, *asked); diff != "" {
			t.Errorf("step %d: tasks in calls (-want +got):\n%s", i, diff)
		}
	}
	delete(running, tasks[0].ID)
	if names, err := view.Namespaces(t.Context(), running, "part"); err != nil || !slices.Equal(names, []string{"bank"}) {
		t.Errorf("once the task has ended: %v, %v", names, err)
	}
	w.trouble.set(func(string, map[string]any) (int, map[string]any) { return awsError("AccessDeniedException") })
	if _, err := view.Namespaces(t.Context(), running, "part"); err == nil || !strings.Contains(err.Error(), "read the tags of 2 tasks") || !strings.Contains(err.Error(), "lacks ecs:DescribeTasks") {
		t.Errorf("where ECS refuses: %v", err)
	}
}

func TestALookListsOnceAlsoWhereThereAreNamespaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.keeper(t)
	k.settings.PartitionsEnabled, k.settings.Partition = true, "part"
	k.clusters = nil
	k.see(w.views())
	task := w.runTasks(t, 1)[0]
	w.register(t, task)
	w.stopTask(t, task)
	w.tags(map[string][2]string{w.self.ID: {"part", "shop"}})
	before := w.looks.Load()
	err := k.look(t.Context()) // Consul's community edition has no namespaces
	if err == nil || !strings.Contains(err.Error(), "namespace") {
		t.Errorf("look = %v, want Consul's refusal to make a namespace", err)
	}
	if n := w.looks.Load() - before; n != 1 {
		t.Errorf("the tasks were listed %d times", n)
	}
	if left := w.services(t); len(left) > 0 {
		t.Errorf("%v left of a stopped task: one trouble hides another", left)
	}
}
