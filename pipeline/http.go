package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
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

// serve starts the HTTP server, if there is to be one.
func serve(ctx context.Context, s settings.Settings, o Options, metrics http.Handler) (*server, error) {
	w := &server{settings: s, options: o, started: begun(), stopping: ctx, metrics: metrics}
	if s.HTTP.Address == "" {
		return w, nil
	}
	encryption, err := s.HTTP.TLS.Server()
	if err != nil {
		return nil, fmt.Errorf("the HTTP server's encryption: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.HTTP.Address)
	if err != nil {
		return nil, fmt.Errorf("http.address %s: %w; give another one, such as :8081, or an empty text for no server", s.HTTP.Address, err)
	}
	w.http = &http.Server{
		Handler: w, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
		TLSConfig: encryption, Protocols: new(http.Protocols), ErrorLog: errorLog(o.Logger),
	}
	w.http.Protocols.SetHTTP1(true)
	w.ended = make(chan struct{})
	go func() {
		defer close(w.ended)
		serve := w.http.Serve
		if encryption != nil {
			serve = func(l net.Listener) error { return w.http.ServeTLS(l, "", "") }
		}
		if err := serve(listener); !errors.Is(err, http.ErrServerClosed) {
			o.Logger.Error("HTTP server", "err", err)
		}
	}()
	o.Logger.Info("HTTP server", "address", listener.Addr().String(), "scheme", s.HTTP.Scheme())
	return w, nil
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
//
// Where http.tls.client_ca_file is given, who has shown no certificate gets the first two only: what probes ask for.
func (w *server) ServeHTTP(to http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		to.Header().Set("Allow", "GET, HEAD")
		answer(to, http.StatusMethodNotAllowed, map[string]string{"error": "only GET and HEAD"})
		return
	}
	if r.URL.Path != "/livez" && r.URL.Path != "/readyz" && !w.known(r) {
		answer(to, http.StatusForbidden, map[string]string{"error": "show a certificate of an authority in http.tls.client_ca_file; without one there are only /livez and /readyz"})
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
