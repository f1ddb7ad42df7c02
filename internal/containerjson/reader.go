package containerjson

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/agext/levenshtein"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// reader turns nodes into what encoding/json writes as AWS's own JSON, by the types of the SDK. A value that is wrong becomes nil, or
// in lists an empty element, so that what follows keeps its place.
type reader struct{ found *problem.List }

// required are the fields without which an object means nothing, by its type in the SDK. Names and images of containers are the
// business of whoever checks the containers.
var required = map[reflect.Type][]string{
	reflect.TypeFor[ecstypes.ContainerDependency]():    {"condition", "containerName"},
	reflect.TypeFor[ecstypes.ContainerRestartPolicy](): {"enabled"},
	reflect.TypeFor[ecstypes.Device]():                 {"hostPath"},
	reflect.TypeFor[ecstypes.EnvironmentFile]():        {"type", "value"},
	reflect.TypeFor[ecstypes.FirelensConfiguration]():  {"type"},
	reflect.TypeFor[ecstypes.HealthCheck]():            {"command"},
	reflect.TypeFor[ecstypes.HostEntry]():              {"hostname", "ipAddress"},
	reflect.TypeFor[ecstypes.LogConfiguration]():       {"logDriver"},
	reflect.TypeFor[ecstypes.MountPoint]():             {"containerPath", "sourceVolume"},
	reflect.TypeFor[ecstypes.NvidiaMpsAllocation]():    {"memory"},
	reflect.TypeFor[ecstypes.RepositoryCredentials]():  {"credentialsParameter"},
	reflect.TypeFor[ecstypes.ResourceRequirement]():    {"type"},
	reflect.TypeFor[ecstypes.SystemControl]():          {"namespace", "value"},
	reflect.TypeFor[ecstypes.Tmpfs]():                  {"containerPath", "size"},
	reflect.TypeFor[ecstypes.Ulimit]():                 {"hardLimit", "name", "softLimit"},
	reflect.TypeFor[ecstypes.VolumeFrom]():             {"sourceContainer"},
}

// value is the node as a value of the type; nil where it is wrong, or null.
func (r reader) value(n node, t reflect.Type, at problem.Path) any {
	switch t.Kind() {
	case reflect.Pointer:
		return r.value(n, t.Elem(), at)
	case reflect.Struct:
		return r.object(n, t, at)
	case reflect.Slice:
		return r.list(n, t, at)
	case reflect.Map:
		return r.texts(n, at)
	case reflect.Interface:
		return r.union(n, t, at)
	case reflect.Bool:
		return r.flag(n, at)
	case reflect.String:
		return r.text(n, t, at)
	default:
		return r.number(n, at)
	}
}

// wants reports a value of another kind. The value is not told: it may be what somebody keeps secret.
func (r reader) wants(n node, want string, at problem.Path) any {
	r.found.Add(at, "is %s, want %s", n.kind(), want)
	return nil
}

func (r reader) object(n node, t reflect.Type, at problem.Path) any {
	if n.value != (object{}) {
		return r.wants(n, "an object", at)
	}
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() && !f.Anonymous {
			fields[lowerFirst(f.Name)] = f.Type
		}
	}
	out := map[string]any{}
	seen := map[string]string{}
	for _, m := range n.members {
		key := lowerFirst(m.key)
		field, known := fields[key]
		written, twice := seen[key]
		seen[key] = m.key
		switch {
		case !known:
			r.found.Add(at.Child(m.key), "is no field of ECS's: %s", meant(m.key, slices.Sorted(maps.Keys(fields))))
		case twice && written == m.key:
			r.found.Add(at.Child(key), "is there twice: leave one out")
		case twice:
			r.found.Add(at.Child(key), "is there twice, as %s and as %s: leave one out", written, m.key)
		case m.value.value == nil: // not set
		default:
			if v := r.value(m.value, field, at.Child(key)); v != nil {
				out[key] = v
			}
		}
	}
	for _, key := range required[t] {
		v, set := n.member(key)
		unset := v.value == "" && wordsOf(fields[key]) != nil // as the SDK's own JSON has a word that is not set
		if !set || v.value == nil || unset {
			r.found.Add(at.Child(key), "is missing")
		}
	}
	return out
}

// member is the value of a key, in either spelling.
func (n node) member(key string) (node, bool) {
	i := slices.IndexFunc(n.members, func(m member) bool { return lowerFirst(m.key) == key })
	if i < 0 {
		return node{}, false
	}
	return n.members[i].value, true
}

func (r reader) list(n node, t reflect.Type, at problem.Path) any {
	if n.value != (list{}) {
		return r.wants(n, "a list", at)
	}
	out := make([]any, len(n.list))
	for i, element := range n.list {
		below := at.Child(i)
		if element.value == nil {
			r.found.Add(below, "is null: give it a value, or leave it out")
		} else {
			out[i] = r.value(element, t.Elem(), below)
		}
		if out[i] == nil { // null would be none
			out[i] = reflect.Zero(plainType(t.Elem())).Interface()
		}
	}
	return out
}

// plainType is the type of an element that says nothing.
func plainType(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Struct {
		return reflect.TypeFor[struct{}]()
	}
	return t
}

// texts is a map whose keys are its author's.
func (r reader) texts(n node, at problem.Path) any {
	if n.value != (object{}) {
		return r.wants(n, "an object", at)
	}
	out := map[string]any{}
	for _, m := range n.members {
		below := at.Child(problem.Key(m.key))
		if _, twice := out[m.key]; twice {
			r.found.Add(below, "is there twice: leave one out")
			continue
		}
		out[m.key] = ""
		if m.value.value == nil {
			r.found.Add(below, "is null: give it a value, or leave the key out")
		} else if v := r.text(m.value, reflect.TypeFor[string](), below); v != nil {
			out[m.key] = v
		}
	}
	return out
}

func (r reader) union(n node, t reflect.Type, at problem.Path) any {
	members := awsjson.Members(t)
	keys := strings.Join(slices.Sorted(maps.Keys(members)), ", ")
	if n.value != (object{}) || len(n.members) != 1 {
		return r.wants(n, "an object with one of "+keys, at)
	}
	key := lowerFirst(n.members[0].key)
	member, known := members[key]
	if !known {
		r.found.Add(at.Child(n.members[0].key), "is no field of ECS's: %s", meant(key, slices.Sorted(maps.Keys(members))))
		return nil
	}
	if v := r.value(n.members[0].value, member, at.Child(key)); v != nil {
		return map[string]any{key: v}
	}
	return nil
}

func (r reader) flag(n node, at problem.Path) any {
	if b, ok := n.value.(bool); ok {
		return b
	}
	if text, ok := n.value.(string); ok && (text == "true" || text == "false") {
		r.found.Add(at, "is a text, want true or false: write it without quotes")
		return nil
	}
	return r.wants(n, "true or false", at)
}

func (r reader) number(n node, at problem.Path) any {
	digits, ok := n.value.(json.Number)
	if !ok {
		if text, isText := n.value.(string); isText {
			if _, err := strconv.ParseInt(text, 10, 32); err == nil {
				r.found.Add(at, "is the text %q, want a number: write it without quotes", text)
				return nil
			}
		}
		return r.wants(n, "a whole number", at)
	}
	exact, ok := whole(string(digits))
	if !ok {
		r.found.Add(at, "is %.40s, want a whole number from %d to %d", digits, math.MinInt32, math.MaxInt32)
		return nil
	}
	return exact
}

// whole is the number, if its value is whole and has a place in 32 bits, however it is written.
func whole(digits string) (int64, bool) {
	f, err := strconv.ParseFloat(digits, 64) // tells the size of 1e999999999 without writing it out
	if err != nil || math.Abs(f) > 2*math.MaxInt32 {
		return 0, false
	}
	exact, ok := new(big.Rat).SetString(digits)
	if !ok || !exact.IsInt() || !exact.Num().IsInt64() {
		return 0, false
	}
	n := exact.Num().Int64()
	return n, n >= math.MinInt32 && n <= math.MaxInt32
}

func (r reader) text(n node, t reflect.Type, at problem.Path) any {
	text, ok := n.value.(string)
	if !ok {
		want := "a text"
		if kind := n.kind(); kind == "a number" || kind == "true or false" {
			want += ": write it in quotes"
		}
		return r.wants(n, want, at)
	}
	words := wordsOf(t)
	if words != nil && !slices.Contains(words, text) {
		if text != "" {
			r.found.Add(at, "is %q: %s", text, meant(text, words))
		}
		return nil
	}
	return text
}

// wordsOf are the values of one of the SDK's enumerations; nil for other types.
func wordsOf(t reflect.Type) []string {
	if t.Kind() != reflect.String {
		return nil
	}
	method := reflect.Zero(t).MethodByName("Values")
	if !method.IsValid() {
		return nil
	}
	var words []string
	values := method.Call(nil)[0]
	for i := range values.Len() {
		words = append(words, values.Index(i).String())
	}
	return words
}

// meant says what was meant by a word, among those that there are: the nearest, where one is near, or any of them.
func meant(word string, words []string) string {
	nearest, distance := "", math.MaxInt
	for _, candidate := range words {
		if d := levenshtein.Distance(bare(word), bare(candidate), nil); d < distance {
			nearest, distance = candidate, d
		}
	}
	if distance <= max(1, len(word)/3) {
		return fmt.Sprintf("did you mean %s?", nearest)
	}
	return "want one of " + strings.Join(words, ", ")
}

// bare is a word without what spellings differ in.
func bare(word string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(word))
}

func lowerFirst(key string) string {
	if key == "" {
		return ""
	}
	return strings.ToLower(key[:1]) + key[1:]
}
