// Package api is the one endpoint of the local AWS: ECS's JSON 1.1 protocol is answered here, everything else goes
// through to the emulator as it came, and /_localecs/ is for its operator.
package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/control"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/quota"
)

const (
	targetPrefix = "AmazonEC2ContainerServiceV20141113."
	contentType  = "application/x-amz-json-1.1"
	maxRequest   = 1 << 20 // bytes; the largest legal request, a task definition, has 64 KiB
)

// action answers the body of one ECS action with a struct of the SDK.
type action func(body []byte) (any, error)

// New returns the endpoint's handler. emulator answers for every service but ECS; admin answers under /_localecs/; quotas
// say which calls are too many.
func New(c *control.Control, emulator *url.URL, admin http.Handler, quotas *quota.Quotas, log hclog.Logger) http.Handler {
	actions := actionsOf(c)
	proxy := passThrough(emulator, log)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, isECS := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
		switch {
		case strings.HasPrefix(r.URL.Path, "/_localecs/"):
			admin.ServeHTTP(w, r)
		case isECS:
			serve(w, r, name, within(quotas, name, actions[name]), log)
		default:
			proxy.ServeHTTP(w, r)
		}
	})
}

func actionsOf(c *control.Control) map[string]action {
	return map[string]action{
		"CreateCluster":              typed(c.CreateCluster),
		"DescribeClusters":           typed(c.DescribeClusters),
		"ListClusters":               typed(c.ListClusters),
		"DeleteCluster":              typed(c.DeleteCluster),
		"RegisterTaskDefinition":     typed(c.RegisterTaskDefinition),
		"DescribeTaskDefinition":     typed(c.DescribeTaskDefinition),
		"DeregisterTaskDefinition":   typed(c.DeregisterTaskDefinition),
		"DeleteTaskDefinitions":      typed(c.DeleteTaskDefinitions),
		"ListTaskDefinitions":        typed(c.ListTaskDefinitions),
		"ListTaskDefinitionFamilies": typed(c.ListTaskDefinitionFamilies),
		"RunTask":                    typed(c.RunTask),
		"StopTask":                   typed(c.StopTask),
		"ExecuteCommand":             typed(c.ExecuteCommand),
		"DescribeTasks":              typed(c.DescribeTasks),
		"ListTasks":                  typed(c.ListTasks),
		"CreateService":              typed(c.CreateService),
		"UpdateService":              typed(c.UpdateService),
		"DeleteService":              typed(c.DeleteService),
		"DescribeServices":           typed(c.DescribeServices),
		"DescribeServiceRevisions":   typed(c.DescribeServiceRevisions),
		"ListServices":               typed(c.ListServices),
		"TagResource":                typed(c.TagResource),
		"UntagResource":              typed(c.UntagResource),
		"ListTagsForResource":        typed(c.ListTagsForResource),
	}
}

// typed reads the body into the action's input. ECS ignores keys that it does not know, and so does this.
func typed[In, Out any](do func(*In) (*Out, error)) action {
	return func(body []byte) (any, error) {
		var in In
		if err := awsjson.Unmarshal(body, &in); err != nil {
			return nil, &smithy.GenericAPIError{Code: "SerializationException", Message: err.Error()}
		}
		out, err := do(&in)
		if err != nil {
			return nil, err
		}
		return out, nil
	}
}

// within answers for an action until its quota is used up.
func within(quotas *quota.Quotas, name string, do action) action {
	if !quotas.Exceeded(name) {
		return do
	}
	return func([]byte) (any, error) {
		return nil, &smithy.GenericAPIError{Code: "ThrottlingException", Message: "Rate exceeded"}
	}
}

func serve(w http.ResponseWriter, r *http.Request, name string, do action, log hclog.Logger) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Amzn-Requestid", names.UUID())
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		answerError(w, name, &smithy.GenericAPIError{Code: "SerializationException", Message: err.Error()}, log)
		return
	}
	if do == nil {
		answerError(w, name, &smithy.GenericAPIError{Code: "UnknownOperationException", Message: "This local ECS does not know " + name + "."}, log)
		return
	}
	out, err := do(body)
	if err != nil {
		answerError(w, name, err, log)
		return
	}
	text, err := awsjson.Marshal(out)
	if err != nil {
		answerError(w, name, fmt.Errorf("write answer: %w", err), log)
		return
	}
	log.Trace("action answered", "action", name)
	if _, err := w.Write(text); err != nil {
		log.Debug("caller gone", "action", name, "err", err)
	}
}

// answerError writes an error the way ECS does. One that is not ECS's own is a fault of this program.
func answerError(w http.ResponseWriter, name string, err error, log hclog.Logger) {
	status, answer := http.StatusBadRequest, map[string]any{}
	var api smithy.APIError
	if errors.As(err, &api) {
		answer["__type"], answer["message"] = api.ErrorCode(), api.ErrorMessage()
		log.Debug("action refused", "action", name, "code", api.ErrorCode(), "message", api.ErrorMessage())
	} else {
		status = http.StatusInternalServerError
		answer["__type"], answer["message"] = "ServerException", err.Error()
		log.Error("action broken", "action", name, "err", err)
	}
	var conflict *ecstypes.ConflictException
	if errors.As(err, &conflict) {
		answer["resourceIds"] = conflict.ResourceIds
	}
	text, err := json.Marshal(answer)
	if err != nil { // strings only
		log.Error("error not written", "action", name, "err", err)
	}
	w.WriteHeader(status)
	if _, err := w.Write(text); err != nil {
		log.Debug("caller gone", "action", name, "err", err)
	}
}

// passThrough hands requests to the emulator with host, headers and body as they were signed.
func passThrough(emulator *url.URL, log hclog.Logger) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(emulator)
			r.Out.Host = r.In.Host
			r.Out.URL.RawQuery = r.In.URL.RawQuery // the proxy drops what it cannot parse, and breaks the signature
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			log.Warn("emulator did not answer", "method", r.Method, "path", r.URL.Path, "err", err)
			w.WriteHeader(http.StatusBadGateway)
		},
	}
}
