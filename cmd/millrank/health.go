package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrank/millrank/pipeline"
	"github.com/millrank/millrank/pipeline/settings"
)

func (a *app) healthCommand() *cobra.Command {
	var live bool
	var timeout time.Duration
	c := &cobra.Command{
		Use: "health", Short: "Ask the process on this machine whether it is ready", Args: noArgs, GroupID: "look",
		Long: `Asks the process on this machine, at the port of http.address, for /readyz: exit code 0 if all its handlers run and have caught up with what they had done
before, else 1, and why. With --live it asks for /livez: whether the process answers at all.

It is for health checks of containers, whose image holds nothing else that could ask. Where http.tls.certificate_file is given it asks by https, and trusts the
process that shows this certificate.`,
		Example: `  millrank health
  millrank health --live --set http.address=:8081`,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.load()
			if err != nil {
				return err
			}
			address, err := ownAddress(s)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			return a.health(ctx, s.HTTP, address, live)
		},
	}
	c.Flags().BoolVar(&live, "live", false, "ask for /livez")
	c.Flags().DurationVar(&timeout, "timeout", 3*time.Second, "how long to wait for the answer")
	return c
}

// ownAddress returns where the server of a process with these settings can be reached on this machine.
func ownAddress(s settings.Settings) (string, error) {
	if s.HTTP.Address == "" {
		return "", usage(errors.New("http.address is empty: there is no server to ask"))
	}
	host, port, err := net.SplitHostPort(s.HTTP.Address)
	if err != nil {
		return "", usage(fmt.Errorf("http.address %q: %w", s.HTTP.Address, err))
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

func (a *app) health(ctx context.Context, server settings.HTTP, address string, live bool) error {
	path := "/readyz"
	if live {
		path = "/livez"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.Scheme()+"://"+address+path, http.NoBody)
	if err != nil {
		return usage(fmt.Errorf("http.address %s: %w", address, err))
	}
	client, err := server.TLS.Client(false)
	if err != nil {
		return usage(err)
	}
	response, err := client.Do(request)
	if err != nil {
		if why := settings.HTTPRefused(err); why != "" {
			return fmt.Errorf("no answer from %s: %w; %s", address, err, why)
		}
		return fmt.Errorf("no answer from %s: %w; is 'millrank run' running, with the same http.address?", address, err)
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("the answer of %s%s: %w", address, path, err)
	}
	if response.StatusCode == http.StatusOK {
		_, err = fmt.Fprintln(a.out, "ok")
		return err
	}
	if response.StatusCode == http.StatusBadRequest && server.Scheme() == "http" {
		return fmt.Errorf("%s answers %s: %s; %s", address, response.Status, strings.TrimSpace(string(body)), settings.HTTPEncrypts)
	}
	return fmt.Errorf("not ready: %s", whyNot(response.Status, body))
}

// whyNot returns what /readyz says in a line.
func whyNot(status string, body []byte) string {
	var h pipeline.Health
	if json.Unmarshal(body, &h) != nil {
		return status
	}
	if h.Error != "" {
		return h.Error
	}
	var waits []string
	for _, one := range h.Handlers {
		if one.State == "running" {
			continue
		}
		text := one.Name + " is " + one.State
		if one.Error != "" {
			text += " (" + one.Error + ")"
		}
		waits = append(waits, text)
	}
	if len(waits) == 0 {
		return status
	}
	return strings.Join(waits, "; ")
}
