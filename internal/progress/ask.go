package progress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millrank/millrank/pipeline/settings"
)

// askMax is how long a process may take to answer; answerMax, how long an answer may be.
const (
	askMax    = time.Second
	answerMax = 16 << 20
)

// ask asks processes what they say of themselves.
func (r *Reader) ask(ctx context.Context, st *State) {
	st.Processes = []Process{}
	addresses, why := r.addresses(st)
	if why != "" {
		st.Unreachable = append(st.Unreachable, why)
	}
	client, err := r.settings.HTTP.TLS.Client(true)
	if err != nil {
		st.Unreachable = append(st.Unreachable, err.Error())
		return
	}
	answers, errs := make([]Process, len(addresses)), make([]error, len(addresses))
	var asking sync.WaitGroup
	for i, address := range addresses {
		asking.Go(func() { answers[i], errs[i] = fetch(ctx, client, address) })
	}
	asking.Wait()
	for i, p := range answers {
		switch {
		case errs[i] != nil:
			st.Unreachable = append(st.Unreachable, fmt.Sprintf("%s: %v", addresses[i], errs[i]))
			continue
		case p.Name != st.Name || p.Generation != st.Generation:
			st.Unreachable = append(st.Unreachable, fmt.Sprintf("%s: there runs generation %d of %q", addresses[i], p.Generation, p.Name))
			continue
		}
		st.Processes = append(st.Processes, p)
		st.Conflicts += p.Conflicts
		for name, n := range p.Decisions {
			if st.Decisions == nil {
				st.Decisions = map[string]int64{}
			}
			st.Decisions[name] += n
		}
	}
}

// addresses returns where processes answer; or why that isn't known.
func (r *Reader) addresses(st *State) (urls []string, why string) {
	if len(r.Processes) > 0 {
		return r.Processes, ""
	}
	if r.settings.HTTP.Address == "" {
		return nil, "processes have no HTTP server (http.address is empty), so what each has counted isn't shown"
	}
	_, port, err := net.SplitHostPort(r.settings.HTTP.Address)
	if err != nil || port == "0" {
		return nil, fmt.Sprintf("http.address %s says no port: give --process http://HOST:PORT", r.settings.HTTP.Address)
	}
	for _, g := range st.Groups {
		for _, m := range g.Members {
			if u := r.settings.HTTP.Scheme() + "://" + net.JoinHostPort(m.Host, port); m.Host != "" && !slices.Contains(urls, u) {
				urls = append(urls, u)
			}
		}
	}
	slices.Sort(urls)
	return urls, ""
}

// fetch asks one process.
func fetch(ctx context.Context, client *http.Client, address string) (Process, error) {
	ctx, cancel := context.WithTimeout(ctx, askMax)
	defer cancel()
	var p Process
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(address, "/")+"/status", nil)
	if err != nil {
		return p, fmt.Errorf("no URL: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		if e := (*url.Error)(nil); errors.As(err, &e) {
			err = e.Err // it says the URL itself
		}
		if why := settings.HTTPRefused(err); why != "" {
			return p, fmt.Errorf("no answer: %w; %s", err, why)
		}
		return p, fmt.Errorf("no answer: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	switch {
	case response.StatusCode == http.StatusBadRequest && request.URL.Scheme == "http":
		return p, fmt.Errorf("it answers %s; %s", response.Status, settings.HTTPEncrypts)
	case response.StatusCode == http.StatusForbidden:
		return p, fmt.Errorf("it answers %s; give a certificate that it knows, and its key, as http.tls.certificate_file and http.tls.key_file", response.Status)
	case response.StatusCode != http.StatusOK:
		return p, fmt.Errorf("it answers %s", response.Status)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, answerMax)).Decode(&p); err != nil {
		return p, fmt.Errorf("its answer is not a status: %w", err)
	}
	return p, nil
}
