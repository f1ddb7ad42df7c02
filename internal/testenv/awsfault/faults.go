package awsfault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
)

// Fault answers a call in the place of the emulator.
type Fault func(w http.ResponseWriter, in *incoming)

// Refuse answers with an error of AWS.
func Refuse(status int, code, message string) Fault {
	return func(w http.ResponseWriter, in *incoming) {
		if in.json() {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": message})
			return
		}
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>", code, message)
	}
}

// Throttle turns the call away because there were too many.
func Throttle(w http.ResponseWriter, in *incoming) {
	code := "Throttling"
	if in.json() {
		code = "ThrottlingException"
	}
	Refuse(http.StatusBadRequest, code, "Rate exceeded")(w, in)
}

// OutOfOrder is an AWS that has a problem of its own.
func OutOfOrder(w http.ResponseWriter, in *incoming) {
	Refuse(http.StatusInternalServerError, "ServerException", "Service Unavailable. Please try again later.")(w, in)
}

// Expired refuses the caller's credentials, which were good once.
func Expired(w http.ResponseWriter, in *incoming) {
	code := "ExpiredToken"
	if in.json() {
		code = "ExpiredTokenException"
	}
	Refuse(http.StatusForbidden, code, "The security token included in the request is expired")(w, in)
}

// Lose has the emulator do what is asked, and cuts the line before the answer.
func Lose(_ http.ResponseWriter, in *incoming) {
	in.forward(httptest.NewRecorder())
	panic(http.ErrAbortHandler)
}

// Hang never answers. The emulator does not hear of the call.
func Hang(_ http.ResponseWriter, in *incoming) {
	select {
	case <-in.r.Context().Done():
	case <-in.proxy.end:
	}
	panic(http.ErrAbortHandler)
}

// Do calls f while the call is on its way, and then lets it through.
func Do(f func()) Fault {
	return func(w http.ResponseWriter, in *incoming) {
		f()
		in.forward(w)
	}
}

// DoOnceDone calls f once the emulator has done what it was asked to, before the caller knows. Whatever f leads to, the emulator has heard.
func DoOnceDone(f func()) Fault {
	return func(w http.ResponseWriter, in *incoming) {
		in.r = in.r.WithContext(context.WithoutCancel(in.r.Context()))
		answer := httptest.NewRecorder()
		in.forward(answer)
		f()
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // whoever asked may have gone
	}
}

// DoAndHang calls f while the call is on its way, and never answers: the emulator hears of it no more than of one that Hang got.
func DoAndHang(f func()) Fault {
	return func(w http.ResponseWriter, in *incoming) {
		f()
		Hang(w, in)
	}
}

// FailEntries fails the first n entries of an SQS batch, by the batch's own fault or by SQS's, and has the emulator do the rest.
func FailEntries(n int, byCaller bool) Fault {
	return func(w http.ResponseWriter, in *incoming) {
		var request map[string]any
		if json.Unmarshal(in.body, &request) != nil {
			in.forward(w)
			return
		}
		entries, _ := request["Entries"].([]any)
		failing := entries[:min(n, len(entries))]
		out := map[string]any{}
		if request["Entries"] = entries[len(failing):]; len(failing) < len(entries) {
			in.body, _ = json.Marshal(request) // it was JSON before
			answer := httptest.NewRecorder()
			in.forward(answer)
			_ = json.Unmarshal(answer.Body.Bytes(), &out)
		}
		failed, _ := out["Failed"].([]any)
		for _, entry := range failing {
			id := entry.(map[string]any)["Id"]
			failed = append(failed, map[string]any{"Id": id, "SenderFault": byCaller, "Code": "InternalError", "Message": "not today"})
		}
		out["Failed"] = failed
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_ = json.NewEncoder(w).Encode(out)
	}
}

// Answer answers a call in JSON with a text.
func Answer(text string) Fault {
	return func(w http.ResponseWriter, _ *incoming) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		fmt.Fprint(w, text)
	}
}

// Missing is the answer of a DescribeServices that does not know a service yet.
func Missing(w http.ResponseWriter, in *incoming) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	fmt.Fprint(w, `{"services":[],"failures":[{"arn":"arn:aws:ecs:us-east-1:123456789012:service/web","reason":"MISSING"}]}`)
}

// page is the token of the page after an empty one.
const page = "awsfault"

var (
	lists = regexp.MustCompile(`(?s)<member>.*</member>`)
	token = regexp.MustCompile(`"[nN]extToken":\s*"` + page + `",?|(^|&)Marker=` + page)
)

// EmptyPage answers a call that lists with a page on which nothing stands, and a token for the next one: what there is follows.
// An answer without pages is empty.
func EmptyPage(w http.ResponseWriter, in *incoming) {
	answer := httptest.NewRecorder()
	in.forward(answer)
	body := answer.Body.Bytes()
	if in.json() {
		body = emptyJSON(body, strings.HasPrefix(in.Action, "List"), in.Service)
	} else {
		body = lists.ReplaceAll(body, nil)
		body = bytes.Replace(body, []byte("<IsTruncated>false</IsTruncated>"), []byte("<IsTruncated>true</IsTruncated><Marker>"+page+"</Marker>"), 1)
	}
	w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
	w.WriteHeader(answer.Code)
	_, _ = w.Write(body)
}

// nextToken is how a service spells the key of a token for the next page.
func nextToken(service string) string {
	if service == "events" {
		return "NextToken"
	}
	return "nextToken"
}

func emptyJSON(body []byte, pages bool, service string) []byte {
	var answer map[string]any
	if json.Unmarshal(body, &answer) != nil {
		return body
	}
	for key, value := range answer {
		if _, list := value.([]any); list {
			answer[key] = []any{}
		}
	}
	if pages {
		answer[nextToken(service)] = page
	}
	empty, err := json.Marshal(answer)
	if err != nil {
		return body
	}
	return empty
}

// withoutPage takes out the token of an empty page, which the emulator does not know. It stands before or after others.
func withoutPage(body []byte) []byte {
	if !bytes.Contains(body, []byte(page)) {
		return body
	}
	return bytes.ReplaceAll(token.ReplaceAll(body, nil), []byte(",}"), []byte("}"))
}

// Gone cuts the line to a service, so that nothing of it answers. Calls of others go through.
func Gone(service string) Fault {
	return func(w http.ResponseWriter, in *incoming) {
		if in.Service == service {
			panic(http.ErrAbortHandler)
		}
		in.forward(w)
	}
}

// Sometimes has a share of the calls meet one of the faults, each as likely as the others. The rest goes through.
func Sometimes(share float64, faults ...Fault) Fault {
	return func(w http.ResponseWriter, in *incoming) {
		if rand.Float64() < share {
			faults[rand.IntN(len(faults))](w, in)
			return
		}
		in.forward(w)
	}
}

// NoTasks is an ECS that lists no task and knows none.
func NoTasks(w http.ResponseWriter, in *incoming) {
	answer := map[string]any{"taskArns": []string{}}
	switch in.Action {
	case "DescribeTasks":
		var asked struct{ Tasks []string }
		_ = json.Unmarshal(in.body, &asked)
		failures := []any{}
		for _, id := range asked.Tasks {
			failures = append(failures, map[string]string{"arn": id, "reason": "MISSING"})
		}
		answer = map[string]any{"tasks": []any{}, "failures": failures}
	case "ListTasks":
	default:
		in.forward(w)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(answer)
}
