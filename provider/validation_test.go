package provider_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// fields is an object of a configuration.
type fields = map[string]any

// meshTask is a good mesh task with changes: a nil value leaves an attribute out.
func meshTask(changes fields) fields {
	return with(fields{
		"family":         "web",
		"service":        fields{"port": 8080},
		"consul_servers": fields{"hosts": "consul.example.com"},
		"container":      []any{fields{"name": "app", "image": "app:1"}},
		"sidecars":       fields{"image": "agent:1"},
	}, changes)
}

// controller is a good controller with changes.
func controller(changes fields) fields {
	return with(fields{
		"cluster":          "mesh",
		"token_secret_arn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:token",
		"consul_servers":   fields{"hosts": "consul.example.com"},
		"image":            "agent:1",
		"subnets":          []any{"subnet-1"},
	}, changes)
}

func with(all, changes fields) fields {
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

func container(changes fields) []any {
	return []any{with(fields{"name": "app", "image": "app:1"}, changes)}
}

func upstream(changes fields) []any {
	return []any{with(fields{"destination_name": "api", "local_bind_port": 1234}, changes)}
}

// later is a value that is known after the apply.
const later = "${terraform_data.later.output}"

// laterBlock is a block of which it is not known yet whether it is there, to stand under "dynamic".
func laterBlock(content fields) fields { return fields{"for_each": later, "content": content} }

// validated is what the real Terraform, or OpenTofu, says of configurations of one resource, each in a file of its own.
func validated(t *testing.T, on *binary, resource string, configs map[string]fields) map[string][]testenv.Diagnostic {
	t.Helper()
	dir := workDir(t)
	dir.write(t, "frame.tf.json", fields{
		"terraform": requirements(),
		"resource":  fields{"terraform_data": fields{"later": fields{"input": "x"}}},
	})
	files := map[string]string{}
	for i, name := range slices.Sorted(maps.Keys(configs)) {
		file := fmt.Sprintf("%03d.tf.json", i)
		files[file] = name
		dir.write(t, file, fields{"resource": fields{resource: fields{fmt.Sprintf("r%03d", i): configs[name]}}})
	}
	said, err := on.terraform(t, dir).Validate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	by := map[string][]testenv.Diagnostic{}
	for _, d := range said {
		if strings.Contains(d.Summary, "development overrides") {
			continue
		}
		name, ok := files[filepath.Base(d.Range.Filename)]
		if !ok {
			t.Fatalf("%s: %s\n%s", d.Range.Filename, d.Summary, d.Detail)
		}
		by[name] = append(by[name], d)
	}
	return by
}

// says is all that the diagnostics say, each on a line.
func says(diags []testenv.Diagnostic) string {
	var b strings.Builder
	for _, d := range diags {
		fmt.Fprintf(&b, "%s: %s: %s\n", d.Severity, d.Summary, strings.Join(strings.Fields(d.Detail), " "))
	}
	return b.String()
}

// row is a case of the validation matrix: want is "" for what is accepted, else the attribute to blame and a part of
// what is said, with " | " between.
type row struct {
	config fields
	want   string
}

// namesIn writes containers and volumes by their names.
func namesIn(config fields) *strings.Replacer {
	var pairs []string
	task, _ := config["task"].(fields)
	for place, list := range map[string]any{"container": config["container"], "task.volume": task["volume"]} {
		objects, _ := list.([]any)
		for i, object := range objects {
			if name, _ := object.(fields)["name"].(string); name != "" {
				pairs = append(pairs, fmt.Sprintf("%s[%d]", place, i), fmt.Sprintf("%s[%q]", place, name))
			}
		}
	}
	return strings.NewReplacer(pairs...)
}

// checkRows holds the rows to what each binary says.
func checkRows(t *testing.T, resource string, rows map[string]row) {
	t.Helper()
	configs := map[string]fields{}
	for name, r := range rows {
		configs[name] = r.config
	}
	onEveryBinary(t, func(t *testing.T, on *binary) {
		by := validated(t, on, resource, configs)
		for name, r := range rows {
			checkRow(t, name, r, says(by[name]))
		}
	})
}

func checkRow(t *testing.T, name string, r row, text string) {
	t.Helper()
	if r.want == "" {
		if text != "" {
			t.Errorf("%s is refused:\n%s", name, text)
		}
		return
	}
	place, part, _ := strings.Cut(r.want, " | ")
	named := namesIn(r.config)
	told := func(line string) bool {
		return (strings.Contains(line, place) || strings.Contains(line, named.Replace(place))) && strings.Contains(line, named.Replace(part))
	}
	if !slices.ContainsFunc(strings.Split(text, "\n"), told) {
		t.Errorf("%s: want a complaint about %q with %q, got:\n%s", name, place, part, text)
	}
}
