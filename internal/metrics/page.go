// Package metrics serves one page of metrics in the text format of Prometheus, made of our own metrics and of what other
// programs say of theirs. A source that fails is left out and told by a metric; the others are served.
package metrics

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const (
	// sourceTimeout is below the 10 s after which Prometheus gives up, so that a slow source does not cost the others.
	sourceTimeout = 8 * time.Second
	maxPage       = 64 << 20 // of one source
)

// Source writes its metrics to w. query is the query of whoever asks for the page.
type Source struct {
	Name  string
	Write func(ctx context.Context, query string, w io.Writer) error
}

// HTTP is the source at a URL, which is asked as it is. What it answers must be metrics.
func HTTP(name, at string) Source {
	return Source{Name: name, Write: func(ctx context.Context, _ string, w io.Writer) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
		if err != nil {
			return err
		}
		req.Header.Set("Accept", string(expfmt.NewFormat(expfmt.TypeTextPlain)))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %d", redacted(at), resp.StatusCode)
		}
		var page bytes.Buffer
		if _, err := io.Copy(&limited{&page, maxPage}, resp.Body); err != nil {
			return fmt.Errorf("GET %s: %w", redacted(at), err)
		}
		page.WriteByte('\n') // the last line may lack it, without which it is none
		parser := expfmt.NewTextParser(model.UTF8Validation)
		if _, err := parser.TextToMetricFamilies(bytes.NewReader(page.Bytes())); err != nil {
			return fmt.Errorf("GET %s: not metrics: %w", redacted(at), err)
		}
		_, err = w.Write(page.Bytes())
		return err
	}}
}

// redacted is a URL without its password.
func redacted(at string) string {
	u, err := url.Parse(at)
	if err != nil {
		return "the source"
	}
	return u.Redacted()
}

// Page is the handler of the page: the metrics of own, then those of the sources in their order.
func Page(own prometheus.Gatherer, log hclog.Logger, sources ...Source) http.Handler {
	return &page{own: own, sources: sources, log: log, failing: map[string]bool{}}
}

type page struct {
	own     prometheus.Gatherer
	sources []Source
	log     hclog.Logger

	mu      sync.Mutex
	failing map[string]bool // sources whose failure is in the log
}

// scraped is one source's answer.
type scraped struct {
	text bytes.Buffer
	err  error
}

// ServeHTTP asks all sources at once.
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), sourceTimeout)
	defer cancel()
	answers := make([]scraped, len(p.sources))
	var all sync.WaitGroup
	for i, s := range p.sources {
		all.Go(func() {
			a := &answers[i]
			a.err = s.Write(ctx, r.URL.RawQuery, &limited{&a.text, maxPage})
		})
	}
	all.Wait()
	w.Header().Set("Content-Type", string(expfmt.NewFormat(expfmt.TypeTextPlain)))
	p.writeOwn(w, answers)
	for i := range answers {
		p.tell(p.sources[i].Name, answers[i].err)
		if answers[i].err == nil {
			_, _ = w.Write(answers[i].text.Bytes()) // an error means that whoever asked has gone
		}
	}
}

// writeOwn writes our own metrics, among them which sources answered.
func (p *page) writeOwn(w io.Writer, answers []scraped) {
	up := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: Prefix + "scrape_up", Help: "Whether a source of this page answered."}, []string{"source"})
	for i := range answers {
		up.WithLabelValues(p.sources[i].Name).Set(truth(answers[i].err == nil))
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(up)
	families, err := prometheus.Gatherers{p.own, registry}.Gather()
	p.tell("own", err) // what could be gathered is served
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(w, f); err != nil {
			return
		}
	}
}

// tell logs when a source begins to fail and when it ends to: one is asked every few seconds for days.
func (p *page) tell(source string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err != nil && !p.failing[source]:
		p.log.Warn("metrics left out", "source", source, "err", err)
	case err == nil && p.failing[source]:
		p.log.Info("metrics are back", "source", source)
	}
	p.failing[source] = err != nil
}

// limited ends what would fill the memory.
type limited struct {
	to   *bytes.Buffer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	if l.left -= len(b); l.left < 0 {
		return 0, fmt.Errorf("more than %d bytes", maxPage)
	}
	return l.to.Write(b)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
