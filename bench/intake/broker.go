package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/millrank/millrank/internal/apachekafka"
	"github.com/millrank/millrank/internal/embedded"
)

// broker is a Kafka in a process of its own.
type broker struct {
	addresses []string
	stop      func() error
}

func startBroker(ctx context.Context, kind string) (broker, error) {
	if kind == "kfake" {
		return startKfake(ctx)
	}
	b, err := apachekafka.Start(ctx, apachekafka.Options{HeapMiB: 1024})
	if err != nil {
		return broker{}, err
	}
	return broker{addresses: b.Brokers(), stop: b.Close}, nil
}

// serveVariable tells this program, started by itself, to be the broker: kfake runs in its
// process, and would take part in what is measured in this one.
const serveVariable = "MILLRANK_INTAKE_SERVE"

func serving() bool { return os.Getenv(serveVariable) != "" }

// serve is the broker: it says where it listens, and ends with its input.
func serve(in io.Reader, out io.Writer) error {
	kafka, err := embedded.StartKafka(embedded.KafkaOptions{})
	if err != nil {
		return err
	}
	defer kafka.Close()
	if _, err := fmt.Fprintln(out, strings.Join(kafka.Brokers(), ",")); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

func startKfake(ctx context.Context) (broker, error) {
	program, err := os.Executable()
	if err != nil {
		return broker{}, fmt.Errorf("kfake: %w", err)
	}
	command := exec.CommandContext(context.WithoutCancel(ctx), program) // it ends with its input
	command.Env = append(os.Environ(), serveVariable+"=1")
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		return broker{}, fmt.Errorf("kfake: %w", err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return broker{}, fmt.Errorf("kfake: %w", err)
	}
	if err := command.Start(); err != nil {
		return broker{}, fmt.Errorf("kfake: %w", err)
	}
	stop := func() error { return errors.Join(in.Close(), command.Wait()) }
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return broker{}, errors.Join(fmt.Errorf("kfake did not start: %w", err), stop())
	}
	return broker{addresses: strings.Split(strings.TrimSpace(line), ","), stop: stop}, nil
}
