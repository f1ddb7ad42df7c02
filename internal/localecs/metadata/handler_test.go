package metadata

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func source() Source {
	code := int32(3)
	task := Task{TaskARN: "arn", Cluster: "blue", KnownStatus: "RUNNING", Containers: []Container{{DockerID: "d", Name: "app", ExitCode: &code, Type: "NORMAL"}}}
	return Source{
		Task: func(id string, withTags bool) (Task, int, error) {
			switch id {
			case "known-0":
				answer := task
				if withTags {
					answer.TaskTags = map[string]string{"k": "v"}
				}
				return answer, 0, nil
			case "early-0":
				return Task{}, -1, nil
			}
			return Task{}, 0, ErrUnknown
		},
		Stats: func(_ context.Context, id string, wholeTask bool) (map[string]json.RawMessage, error) {
			if id != "known-0" {
				return nil, ErrUnknown
			}
			return map[string]json.RawMessage{"d": json.RawMessage(`{"read":"now"}`)}, nil
		},
		Credentials: func(_ context.Context, id string) (Credentials, error) {
			switch id {
			case "known":
				return Credentials{RoleArn: "r", AccessKeyID: "a", SecretAccessKey: "s", Token: "t", Expiration: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, nil
			case "refused":
				return Credentials{}, errors.New("assume role r: denied")
			}
			return Credentials{}, ErrUnknown
		},
	}
}

func TestEveryPathAnswersAsDocumented(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		path, want string
		code       int
	}{
		"container":           {"/v4/known-0", `{"DockerId":"d","Name":"app","DockerName":"","Image":"","ImageID":"","DesiredStatus":"","KnownStatus":"","ExitCode":3,"Limits":{},"Type":"NORMAL","ContainerARN":""}`, 200},
		"task":                {"/v4/known-0/task", `{"Cluster":"blue","TaskARN":"arn","Family":"","Revision":"","DesiredStatus":"","KnownStatus":"RUNNING","LaunchType":"","Containers":[{"DockerId":"d"`, 200},
		"tags":                {"/v4/known-0/taskWithTags", `"TaskTags":{"k":"v"}`, 200},
		"stats":               {"/v4/known-0/stats", `{"read":"now"}`, 200},
		"task stats":          {"/v4/known-0/task/stats", `{"d":{"read":"now"}}`, 200},
		"credentials":         {"/v2/credentials/known", `{"RoleArn":"r","AccessKeyId":"a","SecretAccessKey":"s","Token":"t","Expiration":"2026-01-02T03:04:05Z"}`, 200},
		"unknown container":   {"/v4/x", `"V4 metadata handler: unknown ID"`, 404},
		"unknown task":        {"/v4/x/task", `"V4 metadata handler: unknown ID"`, 404},
		"unknown stats":       {"/v4/x/stats", `"V4 metadata handler: unknown ID"`, 404},
		"unknown task stats":  {"/v4/x/task/stats", `"V4 metadata handler: unknown ID"`, 404},
		"container too early": {"/v4/early-0", `"V4 metadata handler: unknown ID"`, 404},
		"unknown credentials": {"/v2/credentials/x", `{"code":"InvalidIdInRequest","message":"unknown ID","HTTPStatusCode":400}`, 400},
		"refused credentials": {"/v2/credentials/refused", `{"code":"InternalServerError","message":"assume role r: denied","HTTPStatusCode":500}`, 500},
	}
	handler := Handler(source())
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, c.path, nil))
			if w.Code != c.code || !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("%d %s, want %d with %s", w.Code, w.Body, c.code, c.want)
			}
		})
	}
}

func TestOnlyGetIsServed(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	Handler(source()).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v4/known-0/task", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST answered %d", w.Code)
	}
}
