package taskmeta_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

// documents serves an endpoint's documents by their paths.
func documents(t *testing.T, byPath map[string]string) *taskmeta.Endpoint {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if byPath[r.URL.Path] == "" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(byPath[r.URL.Path]))
	}))
	t.Cleanup(server.Close)
	e, err := taskmeta.New(server.URL + "/v4/x")
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestDetailsTellTheOthersFromTheOneThatAsks(t *testing.T) {
	t.Parallel()
	e := documents(t, map[string]string{
		"/v4/x": `{"Name":"doctor"}`,
		"/v4/x/task": `{"Cluster":"c","TaskARN":"arn:aws:ecs:us-east-1:1:task/c/abc","LaunchType":"FARGATE","Containers":[
			{"Name":"app","Type":"NORMAL"},{"Name":"doctor","Type":"NORMAL"},{"Name":"proxy","Type":"NORMAL"},{"Name":"aws-guardduty","Type":"AWS"}]}`,
	})
	d, err := e.Details(t.Context())
	if err != nil || d.ID != "abc" || d.LaunchType != "FARGATE" || d.Asking != "doctor" {
		t.Errorf("%+v, %v", d, err)
	}
	if got := d.Others("proxy"); len(got) != 1 || got[0].Name != "app" {
		t.Errorf("the others are %+v", got)
	}
}

func TestTagsAreToldFromTagsThatNobodyMayRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		document string
		want     taskmeta.Tags
		bad      bool
	}{
		"tags":    {`{"TaskTags":{"a":"b"}}`, taskmeta.Tags{Values: map[string]string{"a": "b"}}, false},
		"none":    {`{}`, taskmeta.Tags{}, false},
		"refused": {`{"Errors":[{"ErrorField":"ContainerInstanceTags","ErrorCode":"X"},{"ErrorField":"TaskTags","ErrorCode":"AccessDeniedException","ErrorMessage":"no"}]}`, taskmeta.Tags{Problem: "AccessDeniedException no"}, false},
		"no JSON": {`<html>`, taskmeta.Tags{}, true},
		"absent":  {"", taskmeta.Tags{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tags, err := documents(t, map[string]string{"/v4/x/taskWithTags": tc.document}).Tags(t.Context())
			if diff := cmp.Diff(tc.want, tags); diff != "" || (err != nil) != tc.bad {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}
