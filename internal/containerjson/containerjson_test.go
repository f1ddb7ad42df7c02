package containerjson_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/containerjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/filled"
)

// whole is a container definition with something in every field.
func whole() *ecstypes.ContainerDefinition {
	c := filled.In(&ecstypes.ContainerDefinition{})
	for _, p := range []struct {
		field *string
		word  string
	}{
		{(*string)(&c.DependsOn[0].Condition), "START"}, {(*string)(&c.EnvironmentFiles[0].Type), "s3"}, {(*string)(&c.FirelensConfiguration.Type), "fluentbit"},
		{(*string)(&c.LinuxParameters.Devices[0].Permissions[0]), "read"}, {(*string)(&c.LogConfiguration.LogDriver), "awslogs"},
		{(*string)(&c.PortMappings[0].AppProtocol), "grpc"}, {(*string)(&c.PortMappings[0].Protocol), "udp"}, {(*string)(&c.ResourceRequirements[0].Type), "GPU"},
		{(*string)(&c.Ulimits[0].Name), "nofile"}, {(*string)(&c.VersionConsistency), "disabled"},
	} {
		*p.field = p.word
	}
	return c
}

func TestBothSpellingsAreRead(t *testing.T) {
	t.Parallel()
	want := whole()
	camel, err := awsjson.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"in camel case": string(camel), "with capitals": capitals(t, camel)} {
		got, found := containerjson.Parse("[" + text + "]")
		if len(found) > 0 {
			t.Fatalf("%s: %v", name, found.Err())
		}
		if diff := cmp.Diff([]ecstypes.ContainerDefinition{*want}, got, everything()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// capitals writes keys as the SDK's structs have them, but for those of maps.
func capitals(t *testing.T, text []byte) string {
	t.Helper()
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		t.Fatal(err)
	}
	var spell func(v any) any
	spell = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			out := map[string]any{}
			for key, value := range v {
				if key != "dockerLabels" && key != "options" {
					value = spell(value)
				}
				out[strings.ToUpper(key[:1])+key[1:]] = value
			}
			return out
		case []any:
			for i := range v {
				v[i] = spell(v[i])
			}
		}
		return v
	}
	b, err := json.Marshal(spell(plain))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// everything compares the SDK's structs, whose last fields are markers.
func everything() cmp.Option {
	return cmp.Options{cmp.Exporter(func(reflect.Type) bool { return true }), cmpopts.EquateEmpty()}
}

// TestWhatTheSDKWritesIsRead is for the JSON that encoding/json makes of the SDK's structs, with null and "" for what is not set.
func TestWhatTheSDKWritesIsRead(t *testing.T) {
	t.Parallel()
	name := "app"
	want := []ecstypes.ContainerDefinition{{Name: &name, PortMappings: []ecstypes.PortMapping{{}}, Ulimits: []ecstypes.Ulimit{{Name: "nofile"}}}}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, found := containerjson.Parse(string(text))
	if diff := cmp.Diff(want, got, everything()); diff != "" || len(found) > 0 {
		t.Errorf("%v (-want +got):\n%s", found.Err(), diff)
	}
}

func TestWhatIsWrongIsToldAtItsPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":               {"[{\n  name: 1}]", "(root): is no JSON: line 2, column 3: invalid character 'n'"},
		"nothing":               {"", "(root): is no JSON: line 1, column 1: it ends too early"},
		"an end too early":      {`[{"name":"a"`, "(root): is no JSON: line 1, column 13: it ends too early"},
		"more behind it":        {"[] []", "(root): is no JSON: line 1, column 3: there is more behind its end"},
		"nested for ever":       {strings.Repeat("[", 100), "(root): is no JSON: line 1, column 53: it is nested more than 50 deep"},
		"null":                  {"null", "(root): is null, want a list of container definitions, also around a single one"},
		"one container":         {`{"name":"a"}`, "(root): is an object, want a list of container definitions, also around a single one"},
		"a task definition":     {`{"family":"a","containerDefinitions":[]}`, "(root): is a whole task definition: want the list that is its containerDefinitions"},
		"a text":                {`["app"]`, "[0]: is a text, want an object"},
		"a container of null":   {`[null]`, "[0]: is null: give it a value, or leave it out"},
		"a misspelt field":      {`[{"portMaping":[]}]`, "[0].portMaping: is no field of ECS's: did you mean portMappings?"},
		"in snake case":         {`[{"mount_points":[]}]`, "[0].mount_points: is no field of ECS's: did you mean mountPoints?"},
		"another field":         {`[{"portMappings":[{"listeners":1}]}]`, "[0].portMappings[0].listeners: is no field of ECS's: want one of appProtocol, containerPort, containerPortRange, hostPort, name, protocol"},
		"a field of no name":    {`[{"linuxParameters":{"":1}}]`, "[0].linuxParameters.: is no field of ECS's: want one of capabilities, devices, initProcessEnabled, maxSwap, sharedMemorySize, swappiness, tmpfs"},
		"a key twice":           {`[{"name":"a","name":"b"}]`, "[0].name: is there twice: leave one out"},
		"a key in two ways":     {`[{"name":"a","Name":"b"}]`, "[0].name: is there twice, as name and as Name: leave one out"},
		"a label twice":         {`[{"dockerLabels":{"a":"b","a":"c"}}]`, `[0].dockerLabels["a"]: is there twice: leave one out`},
		"a label of null":       {`[{"dockerLabels":{"a":null}}]`, `[0].dockerLabels["a"]: is null: give it a value, or leave the key out`},
		"a label's number":      {`[{"dockerLabels":{"a":1}}]`, `[0].dockerLabels["a"]: is a number, want a text: write it in quotes`},
		"a port in quotes":      {`[{"portMappings":[{"containerPort":"80"}]}]`, `[0].portMappings[0].containerPort: is the text "80", want a number: write it without quotes`},
		"a part of a port":      {`[{"portMappings":[{"containerPort":80.5}]}]`, "[0].portMappings[0].containerPort: is 80.5, want a whole number from -2147483648 to 2147483647"},
		"too much memory":       {`[{"memory":3000000000}]`, "[0].memory: is 3000000000, want a whole number from -2147483648 to 2147483647"},
		"far too much":          {`[{"memory":1e999999999}]`, "[0].memory: is 1e999999999, want a whole number from -2147483648 to 2147483647"},
		"next to nothing":       {`[{"memory":1e-999999999}]`, "[0].memory: is 1e-999999999, want a whole number from -2147483648 to 2147483647"},
		"a flag in quotes":      {`[{"essential":"false"}]`, "[0].essential: is a text, want true or false: write it without quotes"},
		"a number for a flag":   {`[{"essential":1}]`, "[0].essential: is a number, want true or false"},
		"a secret number":       {`[{"environment":[{"name":"PIN","value":4711}]}]`, "[0].environment[0].value: is a number, want a text: write it in quotes"},
		"a map of variables":    {`[{"environment":{"A":"1"}}]`, "[0].environment: is an object, want a list"},
		"a command as a line":   {`[{"command":"/app serve"}]`, "[0].command: is a text, want a list"},
		"an argument of null":   {`[{"command":["a",null]}]`, "[0].command[1]: is null: give it a value, or leave it out"},
		"a protocol":            {`[{"portMappings":[{"protocol":"TCP"}]}]`, `[0].portMappings[0].protocol: is "TCP": did you mean tcp?`},
		"another protocol":      {`[{"portMappings":[{"protocol":"sctp"}]}]`, `[0].portMappings[0].protocol: is "sctp": want one of tcp, udp`},
		"no condition":          {`[{"dependsOn":[{"containerName":"a","condition":""}]}]`, "[0].dependsOn[0].condition: is missing"},
		"no hard limit":         {`[{"ulimits":[{"name":"nofile","softLimit":1}]}]`, "[0].ulimits[0].hardLimit: is missing"},
		"a way to share":        {`[{"resourceRequirements":[{"type":"GPU","sharingStrategy":{"nvidiaMsp":{}}}]}]`, "[0].resourceRequirements[0].sharingStrategy.nvidiaMsp: is no field of ECS's: did you mean nvidiaMps?"},
		"two ways to share":     {`[{"resourceRequirements":[{"type":"GPU","sharingStrategy":{"nvidiaMps":{"memory":1},"a":{}}}]}]`, "[0].resourceRequirements[0].sharingStrategy: is an object, want an object with one of nvidiaMps"},
		"of the second, a port": {`[{"name":"a"},{"name":"b","portMappings":[{},{"hostPort":true}]}]`, "[1].portMappings[1].hostPort: is true or false, want a whole number"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, found := containerjson.Parse(c.text)
			if len(found) == 0 {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(c.want, found.Err().Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatMeansTheSameIsReadTheSame(t *testing.T) {
	t.Parallel()
	for a, b := range map[string]string{
		`[{"cpu":80.0}]`:                  `[{"cpu":80}]`,
		`[{"memory":8e1}]`:                `[{"memory":80}]`,
		`[{"memory":-0}]`:                 `[{"memory":0}]`,
		`[{"name":"a","image":null}]`:     `[{"name":"a"}]`,
		`[{"environment":null}]`:          `[{}]`,
		`[{"versionConsistency":""}]`:     `[{}]`,
		" [\n{ \"name\":\"\\u0061\"}\t] ": `[{"name":"a"}]`,
		`[]`:                              ` [ ] `,
	} {
		first, found := containerjson.Parse(a)
		second, also := containerjson.Parse(b)
		if diff := cmp.Diff(first, second, everything()); diff != "" || len(found)+len(also) > 0 {
			t.Errorf("%s and %s: %v, %v, %s", a, b, found.Err(), also.Err(), diff)
		}
	}
}

// TestWhatIsWrongLeavesTheRestInPlace wants the other fields to be read, so that they are checked in the same run.
func TestWhatIsWrongLeavesTheRestInPlace(t *testing.T) {
	t.Parallel()
	got, found := containerjson.Parse(`[null, {"name":"b","cpu":"x","command":["a",1,"c"],"portMappings":[3,{"containerPort":80}]}]`)
	if len(found) != 4 || len(got) != 2 {
		t.Fatalf("%d containers, %v", len(got), found)
	}
	if b := got[1]; *b.Name != "b" || len(b.Command) != 3 || b.Command[2] != "c" || *b.PortMappings[1].ContainerPort != 80 {
		t.Errorf("got %+v", b)
	}
}

// FuzzParse wants that whatever is read without complaint is what AWS's JSON of it says again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "null", "[]", `[{"name":"a","Name":"b"}]`, `[{"cpu":1e2,"command":[null,1,"a"],"dockerLabels":{"a":"","b":null}}]`, `[[[[{]`, `[{"essential":false,"logConfiguration":{"logDriver":"awslogs","options":{"A":"b"}}}]`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, found := containerjson.Parse(text)
		if len(found) > 0 {
			return
		}
		for _, c := range first {
			written, err := awsjson.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			second, found := containerjson.Parse("[" + string(written) + "]")
			if diff := cmp.Diff([]ecstypes.ContainerDefinition{c}, second, everything()); diff != "" {
				t.Errorf("%s: %v (-first +second):\n%s", written, found.Err(), diff)
			}
		}
	})
}
