package provider_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

var updateStates = flag.Bool("update", false, "rewrite the state of the schemas' newest version")

// keptState is a state as a version of the schemas had Terraform write it, with the configuration that it was made of. What each
// emulator calls otherwise, and the random IDs of owners, stand in it by names.
type keptState struct{ folder string }

func (k keptState) file(name string) string { return filepath.Join(k.folder, name) }

// statesOf are the kept states: a folder for each version that the schemas have had. Nothing is released before 0.1.0: until then a
// change of the schemas may rewrite the newest one, by -update. After that, such a change raises the version of the schema, keeps
// today's state as it is and adds an upgrader of it, and a folder.
func statesOf(t *testing.T) []keptState {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join("testdata", "states", "*"))
	if err != nil || len(folders) == 0 && !*updateStates {
		t.Fatal("no states are kept", err)
	}
	if newest := filepath.Join("testdata", "states", fmt.Sprint(newestSchema(t))); !slices.Contains(folders, newest) {
		if !*updateStates {
			t.Errorf("%s is missing, the state of the schemas' newest version\nhint: go test ./provider -run TestStatesOfAllVersions -update", newest)
		}
		folders = append(folders, newest)
	}
	var all []keptState
	for _, folder := range folders {
		all = append(all, keptState{folder})
	}
	return all
}

// newestSchema is the highest version of the resources' schemas.
func newestSchema(t *testing.T) (newest int64) {
	t.Helper()
	for _, s := range resourceSchemas(t) {
		newest = max(newest, s.Version)
	}
	return newest
}

// A state of any version of the schemas, from the first on, is today's, where AWS has what it says: nothing is to be done about it.
func TestStatesOfAllVersionsGoOn(t *testing.T) {
	t.Parallel()
	for _, kept := range statesOf(t) {
		version := filepath.Base(kept.folder)
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			c := (&binary{os.Getenv("TF_ACC_TERRAFORM_PATH")}).startMoto(t)
			around := c.surroundings(t, "states")
			names := map[string]string{around.subnet: "subnet-of-the-state", around.group: "group-of-the-state", c.url: "http://aws.of-the-state"}
			if *updateStates && version == fmt.Sprint(newestSchema(t)) {
				kept.rewrite(t, c.stateful(around), names)
			}
			dir := workDir(t)
			dir.writeText(t, "main.tf.json", renamed(t, kept.file("main.tf.json"), swapped(names)))
			made := dir.terraform(t)
			applied(t, made)
			maps.Copy(names, randomIn(t, made))
			kept.wantKnownAttributes(t)
			again := dir.terraform(t)
			if err := os.WriteFile(again.State(), []byte(renamed(t, kept.file("state.json"), swapped(names))), 0o600); err != nil {
				t.Fatal(err)
			}
			nothingToDo(t, again)
			destroyed(t, again)
			if left := slices.Concat(c.roles(t, "states"), c.active(t, "states-t")); len(left) > 0 {
				t.Errorf("the kept state did not know %v", left)
			}
		})
	}
}

// stateful are resources with something of everything that an emulator remembers.
func (c cloud) stateful(around surroundings) fields {
	resources := fields{}
	for _, of := range subjects(around) {
		if of.initial == toForget || len(of.only) == 1 && of.only[0] == "controller" { // a controller that is shared outlives its state
			continue
		}
		variants, _ := resources[of.resource].(fields)
		resources[of.resource] = with(fields{"states-" + of.initial: of.config("states-" + of.initial)}, variants)
	}
	return c.frame(resources)
}

func swapped(names map[string]string) map[string]string {
	other := map[string]string{}
	for is, name := range names {
		other[name] = is
	}
	return other
}

// renamed is a file with names in the place of others.
func renamed(t *testing.T, file string, names map[string]string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := string(text)
	for _, is := range slices.Sorted(maps.Keys(names)) {
		all = strings.ReplaceAll(all, is, names[is])
	}
	return all
}

// randomIn are names for what a create makes of chance, as it stands in a state: the IDs of owners, and what a state knows of a server's keys.
func randomIn(t *testing.T, tf *testenv.Terraform) map[string]string {
	t.Helper()
	names := map[string]string{}
	for _, r := range shownIn(t, tf, tf.State()) {
		for attribute, name := range map[string]string{"owner_id": "OWNER-OF-", "secrets_version": "SECRETS-OF-", "ca_certificate_pem": "AUTHORITY-OF-"} {
			value, ok := r.Values[attribute].(string)
			if !ok {
				continue
			}
			text, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			names[strings.Trim(string(text), `"`)] = name + r.Address
		}
	}
	return names
}

// rewrite applies the configuration and keeps it with its state.
func (k keptState) rewrite(t *testing.T, config fields, names map[string]string) {
	t.Helper()
	dir := workDir(t)
	dir.write(t, "main.tf.json", config)
	tf := dir.terraform(t)
	applied(t, tf)
	names = maps.Clone(names)
	maps.Copy(names, randomIn(t, tf))
	if err := os.MkdirAll(k.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{filepath.Join(string(dir), "main.tf.json"): "main.tf.json", tf.State(): "state.json"} {
		text := lineage.ReplaceAllString(renamed(t, from, names), `"lineage": "11111111-2222-3333-4444-555555555555"`)
		if err := os.WriteFile(k.file(to), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	destroyed(t, tf)
}

var lineage = regexp.MustCompile(`"lineage": "[^"]*"`)

// wantKnownAttributes wants today's schemas to have every attribute of a state of their version: the framework leaves out what they do
// not have, without a word.
func (k keptState) wantKnownAttributes(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(k.file("state.json"))
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		Resources []struct {
			Type      string
			Instances []struct {
				SchemaVersion int64 `json:"schema_version"`
				Attributes    fields
			}
		}
	}
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatal(err)
	}
	schemas := resourceSchemas(t)
	for _, r := range state.Resources {
		for _, instance := range r.Instances {
			if instance.SchemaVersion != schemas[r.Type].Version {
				continue // an upgrader knows
			}
			for _, place := range leaves(nil, instance.Attributes) {
				if !knows(schemas[r.Type], place) {
					t.Errorf("%s has no %s any more, which states of version %d have\nhint: raise the version and write an upgrader", r.Type, strings.Join(place, "."), instance.SchemaVersion)
				}
			}
		}
	}
}

// leaves are the places of all that is not null, without indexes.
func leaves(at []string, value any) (all [][]string) {
	switch v := value.(type) {
	case nil:
	case fields:
		for key, one := range v {
			all = append(all, leaves(append(slices.Clone(at), key), one)...)
		}
	case []any:
		for _, one := range v {
			all = append(all, leaves(at, one)...)
		}
	default:
		all = append(all, at)
	}
	return all
}

// knows is has, for places that may lead into a map.
func knows(s schema.Schema, place []string) bool {
	return has(s, place) || len(place) > 1 && has(s, place[:len(place)-1])
}
