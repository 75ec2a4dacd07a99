package pipeline

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"path"
	"sync/atomic"
	"time"

	"github.com/millrank/millrank/pipeline/settings"
)

// server is the process's own HTTP server. It is there before the pipeline is, so that whoever looks learns that it is starting.
type server struct {
	settings settings.Settings
	options  Options
	started  time.Time
	stopping context.Context //nolint:containedctx // it is the process's, and only looked at
	metrics  http.Handler
	pipeline atomic.Pointer[Pipeline]

	http  *http.Server // nil where there is none
	ended chan struct{}
}

// close ends the server.
func (w *server) close() {
	if w.http == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if w.http.Shutdown(ctx) != nil {
		_ = w.http.Close() // somebody doesn't hang up
	}
	<-w.ended
}

// ServeHTTP answers
//
//	/livez   200 as long as the process can answer
//	/readyz  200 when all handlers run and have caught up with what they had done before, else 503; why, in the body
//	/status  how far each partition is
//	/metrics for Prometheus
//	/debug/pprof/  Go's profiles, where http.profiles allows it
func (w *server) ServeHTTP(to http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		to.Header().Set("Allow", "GET, HEAD")
		answer(to, http.StatusMethodNotAllowed, map[string]string{"error": "only GET and HEAD"})
		return
	}
	p := w.pipeline.Load()
	switch r.URL.Path {
	case "/livez":
		answer(to, http.StatusOK, map[string]string{"status": "alive"})
	case "/readyz":
		h := w.health(p)
		code := http.StatusOK
		if !h.Ready {
			code = http.StatusServiceUnavailable
		}
		answer(to, code, h)
	case "/status":
		answer(to, http.StatusOK, w.status(p))
	case "/metrics":
		w.metrics.ServeHTTP(to, r)
	case "/debug/pprof/profile", "/debug/pprof/trace", "/debug/pprof/heap", "/debug/pprof/allocs", "/debug/pprof/goroutine", "/debug/pprof/mutex", "/debug/pprof/block":
		if !w.settings.HTTP.Profiles {
			answer(to, http.StatusForbidden, map[string]string{"error": "set http.profiles to true to have profiles"})
			return
		}
		profile(to, r)
	default:
		answer(to, http.StatusNotFound, map[string]string{"error": "there are /livez, /readyz, /status and /metrics"})
	}
}

func (w *server) health(p *Pipeline) Health {
	if p == nil {
		return Health{Error: notYet}
	}
	h := p.Health()
	if w.stopping.Err() != nil {
		h.Ready, h.Error = false, "stopping"
	}
	return h
}

// profile answers with one of Go's profiles.
func profile(to http.ResponseWriter, r *http.Request) {
	switch name := path.Base(r.URL.Path); name {
	case "profile":
		pprof.Profile(to, r)
	case "trace":
		pprof.Trace(to, r)
	default:
		pprof.Handler(name).ServeHTTP(to, r)
	}
}

func answer(to http.ResponseWriter, code int, body any) {
	to.Header().Set("Content-Type", "application/json")
	to.Header().Set("Cache-Control", "no-store")
	to.WriteHeader(code)
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(body) //nolint:errchkjson // who asked may have gone
}
