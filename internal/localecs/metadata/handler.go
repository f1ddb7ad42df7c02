package metadata

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
)

// ErrUnknown is what a Source answers where nothing goes by the given ID.
var ErrUnknown = errors.New("unknown ID")

// Source answers for the containers of the moment. IDs are those of the URLs handed to the containers.
type Source struct {
	// Task tells a container's task, and the container's place in Containers; -1 where it is not listed yet.
	Task func(id string, withTags bool) (task Task, self int, err error)
	// Stats returns Docker's statistics of running containers, by Docker ID: of one, or of the whole task.
	Stats       func(ctx context.Context, id string, wholeTask bool) (map[string]json.RawMessage, error)
	Credentials func(ctx context.Context, id string) (Credentials, error)
}

// Handler serves src.
func Handler(src Source) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v4/{id}", func(w http.ResponseWriter, r *http.Request) {
		task, self, err := src.Task(r.PathValue("id"), false)
		if err == nil && self < 0 {
			err = ErrUnknown
		}
		if err != nil {
			refuse(w, err)
			return
		}
		answer(w, task.Containers[self])
	})
	mux.HandleFunc("GET /v4/{id}/task", serveTask(src, false))
	mux.HandleFunc("GET /v4/{id}/taskWithTags", serveTask(src, true))
	mux.HandleFunc("GET /v4/{id}/stats", func(w http.ResponseWriter, r *http.Request) {
		stats, err := src.Stats(r.Context(), r.PathValue("id"), false)
		if err != nil {
			refuse(w, err)
			return
		}
		for _, one := range stats {
			answer(w, one)
		}
	})
	mux.HandleFunc("GET /v4/{id}/task/stats", func(w http.ResponseWriter, r *http.Request) {
		stats, err := src.Stats(r.Context(), r.PathValue("id"), true)
		if err != nil {
			refuse(w, err)
			return
		}
		answer(w, stats)
	})
	mux.HandleFunc("GET /v2/credentials/{id}", func(w http.ResponseWriter, r *http.Request) {
		c, err := src.Credentials(r.Context(), r.PathValue("id"))
		if err != nil {
			refuseCredentials(w, err)
			return
		}
		answer(w, c)
	})
	return mux
}

func serveTask(src Source, withTags bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		task, _, err := src.Task(r.PathValue("id"), withTags)
		if err != nil {
			refuse(w, err)
			return
		}
		answer(w, task)
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the reader has gone: nobody is left to tell
}

// refuse answers with a JSON string, as the ECS agent does.
func refuse(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	if errors.Is(err, ErrUnknown) {
		code = http.StatusNotFound
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode("V4 metadata handler: " + err.Error())
}

// refuseCredentials answers in the shape that the SDKs show to their users.
func refuseCredentials(w http.ResponseWriter, err error) {
	code, word := http.StatusInternalServerError, "InternalServerError"
	if errors.Is(err, ErrUnknown) {
		code, word = http.StatusBadRequest, "InvalidIdInRequest"
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(struct {
		Code           string `json:"code"`
		Message        string `json:"message"`
		HTTPStatusCode int    `json:"HTTPStatusCode"`
	}{word, err.Error(), code})
}
