package provider_test

import (
	"fmt"
	"strings"
	"testing"
)

// What an author marked sensitive is in no output: not in what is planned, applied or shown of the computed attributes, which
// repeat it.
func TestSensitiveValuesAreNotShown(t *testing.T) {
	t.Parallel()
	onEveryBinary(t, testSensitiveValues)
}

func testSensitiveValues(t *testing.T, on *binary) {
	const secret = "hunter2-and-more"
	c := on.startMoto(t)
	around := c.surroundings(t, "sensitive")
	sensitive := "${var.secret}"
	task := fullMeshTask("sensitive", around)
	for _, steps := range [][]any{
		{"container", 0, "environment", "A"}, {"container", 0, "command", 1}, {"container", 0, "entry_point", 0}, {"container", 0, "health_check", "command", 1},
		{"container", 0, "docker_labels", "team"}, {"container", 0, "log_configuration", "options", "awslogs-stream-prefix"}, {"container", 0, "mesh", "readiness_probe", "path"},
		{"sidecars", "dataplane", "environment", "GODEBUG"}, {"sidecars", "log_configuration", "options", "awslogs-stream-prefix"}, {"task", "volume", 0, "docker_volume_configuration", "driver_opts", "type"},
		{"proxy", "config"}, {"upstream", 0, "config"}, {"service", "meta", "version"}, {"login", "meta", "a"}, {"service", "tags", 0},
	} {
		expression := sensitive
		switch fmt.Sprint(steps[len(steps)-1]) {
		case "config":
			expression = `{"token":"` + sensitive + `"}`
		case "path":
			expression = "/" + sensitive
		}
		task = altered(t, task, sweepPlace{steps, false}, func(holder, step any) { setAt(holder, step, expression) })
	}
	controller := fullController("sensitive-controller", around)
	controller["log_configuration"].(fields)["options"].(fields)["awslogs-stream-prefix"] = sensitive
	controller["login"].(fields)["server_id_header"] = sensitive
	dir := workDir(t)
	frame := c.frame(fields{"consulecs_mesh_task": fields{"this": task}, "consulecs_controller": fields{"this": controller}})
	frame["variable"] = fields{"secret": fields{"type": "string", "sensitive": true, "default": secret}}
	dir.write(t, "main.tf.json", frame)
	tf := on.terraform(t, dir)
	for _, args := range [][]string{
		{"plan", "-no-color"}, {"plan", "-json"}, {"apply", "-no-color", "-auto-approve", "-state=" + tf.State()}, {"show", "-no-color", tf.State()}, {"plan", "-json", "-destroy", "-state=" + tf.State()},
	} {
		out, err := tf.Output(t.Context(), args...)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(out), "\n") {
			if strings.Contains(line, secret) {
				t.Errorf("%v: %.300s", args, line)
			}
		}
	}
}
