// Package migrate turns what AWS prints of App Mesh and of ECS Service Connect into blocks of consulecs_mesh_task and into config
// entries of Consul. It is pure.
//
// Nothing of a document is dropped in silence: what has no equal here, or none that could be chosen without its author, is a [Note] at
// its place, with what to do; and a key that nobody has asked for is one, too.
package migrate

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// Result is what documents become.
type Result struct {
	HCL     string  // a resource consulecs_mesh_task for each kind of task
	Entries []Entry // in the order in which Consul takes them
	Notes   []Note  // in the order of the documents
}

// Entry is a config entry of Consul. Its configuration is without kind and name.
type Entry struct {
	Kind, Name string
	Config     map[string]any
}

// JSON is the configuration as the resource consul_config_entry takes it.
func (e Entry) JSON() (string, error) {
	text, err := json.Marshal(e.Config)
	return string(text), err
}

// Note says of a place what did not become anything, or not quite the same, and what to do.
type Note struct{ Path, What string }

// draft is a result that comes into being.
type draft struct {
	documents []*value
	notes     []placedNote
	wrong     problem.List
	entries   map[[2]string]map[string]any // by kind and name
	tasks     []*task
}

type placedNote struct {
	at   problem.Path
	what string
}

// start reads the documents. Each has one of the keys, as AWS's command prints it.
func start(texts, keys []string) *draft {
	d := &draft{entries: map[[2]string]map[string]any{}}
	for i, text := range texts {
		at := problem.At("documents", i)
		v, err := read(text, at)
		switch {
		case err != nil:
			d.wrong.Add(at, "is no JSON: %v", err)
		case v.object == nil:
			d.wrong.Add(at, "is %s, want an object as AWS's command prints it", v.kind())
		case !slices.ContainsFunc(keys, func(key string) bool { return v.object[key] != nil }):
			d.wrong.Add(at, "has none of the keys %s: want what AWS's describe commands print", sentence(keys))
		default:
			d.documents = append(d.documents, v)
			for _, key := range keys {
				if part := v.object[key]; part != nil && part.saysNothing() {
					d.wrong.Add(part.at, "is empty: want what AWS's describe command prints")
				}
			}
		}
	}
	return d
}

func sentence(words []string) string {
	return fmt.Sprintf("%s and %s", joined(words[:len(words)-1]), words[len(words)-1])
}

func joined(words []string) (text string) {
	for i, w := range words {
		if i > 0 {
			text += ", "
		}
		text += w
	}
	return text
}

// all are the documents that hold a key, at what is below it.
func (d *draft) all(key string) (found []*value) {
	for _, doc := range d.documents {
		if doc.has(key) {
			found = append(found, doc.in(d, key))
		}
	}
	return found
}

// note tells of a place as a whole: nothing in it is of any other use.
func (d *draft) note(v *value, format string, args ...any) {
	v.know()
	d.tell(v, format, args...)
}

// tell tells of a place that others read, too.
func (d *draft) tell(v *value, format string, args ...any) {
	d.notes = append(d.notes, placedNote{v.at, fmt.Sprintf(format, args...)})
}

// noteIf is note for a key that may not be there.
func (d *draft) noteIf(v *value, key, format string, args ...any) {
	if child := v.object[key]; child != nil && !child.saysNothing() {
		d.note(child, format, args...)
	} else if child != nil {
		child.know()
	}
}

// entry is the configuration of an entry, to be filled in.
func (d *draft) entry(kind, name string) map[string]any {
	key := [2]string{kind, name}
	if d.entries[key] == nil {
		d.entries[key] = map[string]any{}
	}
	return d.entries[key]
}

// The kinds of config entries.
const (
	kindDefaults   = "service-defaults"
	kindResolver   = "service-resolver"
	kindSplitter   = "service-splitter"
	kindRouter     = "service-router"
	kindIntentions = "service-intentions"
)

// kinds are in the order in which Consul takes them: a router is refused while a protocol is not known.
var kinds = []string{kindDefaults, kindResolver, kindSplitter, kindRouter, kindIntentions}

// finish says what became of the documents.
func (d *draft) finish() (Result, error) {
	if err := d.wrong.Err(); err != nil {
		return Result{}, err
	}
	text, err := hclOf(d)
	if err != nil {
		return Result{}, err
	}
	for _, doc := range d.documents {
		doc.unknown(func(v *value) {
			d.notes = append(d.notes, placedNote{v.at, "is not known to this function, and nothing was made of it: see whether it matters"})
		})
	}
	result := Result{HCL: text, Entries: []Entry{}, Notes: []Note{}}
	keys := slices.SortedFunc(maps.Keys(d.entries), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(slices.Index(kinds, a[0]), slices.Index(kinds, b[0])), cmp.Compare(a[1], b[1]))
	})
	for _, key := range keys {
		result.Entries = append(result.Entries, Entry{key[0], key[1], d.entries[key]})
	}
	slices.SortStableFunc(d.notes, func(a, b placedNote) int { return cmp.Or(comparePaths(a.at, b.at), cmp.Compare(a.what, b.what)) })
	for i, n := range d.notes {
		if i > 0 && n.what == d.notes[i-1].what && n.at.String() == d.notes[i-1].at.String() {
			continue
		}
		result.Notes = append(result.Notes, Note{n.at.String(), n.what})
	}
	return result, nil
}

// comparePaths orders places as they stand in documents, but for the order of keys.
func comparePaths(a, b problem.Path) int {
	return slices.CompareFunc(a, b, func(a, b any) int {
		m, isNumber := a.(int)
		n, areNumbers := b.(int)
		if isNumber && areNumbers {
			return cmp.Compare(m, n)
		}
		return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
}

// allow has the intentions of a service let another one call it.
func (d *draft) allow(destination, source string) {
	config := d.entry(kindIntentions, destination)
	sources, _ := config["Sources"].([]any)
	for _, s := range sources {
		if s.(map[string]any)["Name"] == source {
			return
		}
	}
	config["Sources"] = append(sources, map[string]any{"Name": source, "Action": "allow"})
}

// override is what a service's proxy does with one of the services that it calls.
func (d *draft) override(of, upstream string) map[string]any {
	defaults := d.entry(kindDefaults, of)
	config, ok := defaults["UpstreamConfig"].(map[string]any)
	if !ok {
		config = map[string]any{}
		defaults["UpstreamConfig"] = config
	}
	overrides, _ := config["Overrides"].([]any)
	for _, o := range overrides {
		if o := o.(map[string]any); o["Name"] == upstream {
			return o
		}
	}
	o := map[string]any{"Name": upstream}
	config["Overrides"] = append(overrides, o)
	return o
}

// errNoTasks means that there was nothing to make tasks of.
var errNoTasks = errors.New("no document tells of a task")

// serviceName is a name that Consul takes, made of one of AWS's.
func (d *draft) serviceName(v *value, name string) string {
	made := mesh.ServiceName("", name)
	if err := mesh.CheckServiceName(made); err != nil {
		made = trimmed(made)
	}
	if err := mesh.CheckServiceName(made); err != nil {
		d.wrong.Add(v.at, "has a name that cannot be made one of Consul's: %v", err)
	}
	return made
}
