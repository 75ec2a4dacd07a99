package tcpproxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrank/millrank/internal/tcpproxy"
)

// shouter is a server that answers each line by the line and its own mark; it returns its address, and what it has heard.
func shouter(t *testing.T, mark string) (address string, heard <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	lines := make(chan string, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for s := bufio.NewScanner(c); s.Scan(); {
					lines <- s.Text()
					fmt.Fprintln(c, s.Text()+mark)
				}
			}()
		}
	}()
	return l.Addr().String(), lines
}

func start(t *testing.T, target func() (string, error)) *tcpproxy.Proxy {
	t.Helper()
	p, err := tcpproxy.Start(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func to(address string) func() (string, error) {
	return func() (string, error) { return address, nil }
}

// client is a connection to a proxy.
type client struct {
	net.Conn
	t       *testing.T
	answers *bufio.Reader
}

func connect(t *testing.T, p *tcpproxy.Proxy) *client {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &client{c, t, bufio.NewReader(c)}
}

// says sends a line, and wants this answer.
func (c *client) says(line, want string) {
	c.t.Helper()
	fmt.Fprintln(c, line)
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if got, err := c.answers.ReadString('\n'); got != want+"\n" {
		c.t.Fatalf("to %q came %q, %v; want %q", line, got, err, want)
	}
}

// over wants that the connection has ended.
func (c *client) over(why string) {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if got, err := c.answers.ReadString('\n'); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("%s: the connection goes on: %q, %v", why, got, err)
	}
}

// silent wants that no answer comes.
func (c *client) silent(why string) {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if got, err := c.answers.ReadString('\n'); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("%s: %q, %v; want no answer, and no end", why, got, err)
	}
}

// TestCut: what goes in comes out; a cut ends all connections, and the next ones work.
func TestCut(t *testing.T) {
	address, _ := shouter(t, "!")
	p := start(t, to(address))
	for range 2 {
		one, other := connect(t, p), connect(t, p)
		one.says("hello", "hello!")
		other.says("you", "you!")
		p.Cut()
		one.over("cut")
		other.over("cut")
	}
}

// TestShut: connections end, and new ones do at once, until it is open again; a cut doesn't open it.
func TestShut(t *testing.T) {
	address, heard := shouter(t, "!")
	p := start(t, to(address))
	before := connect(t, p)
	before.says("hello", "hello!")
	<-heard
	p.Shut()
	before.over("shut")
	p.Cut()
	meanwhile := connect(t, p)
	fmt.Fprintln(meanwhile, "anybody there?")
	meanwhile.over("shut")
	p.Open()
	connect(t, p).says("hello again", "hello again!")
	if got := <-heard; got != "hello again" {
		t.Errorf("the server heard %q while the proxy was shut", got)
	}
}

// TestLoseAnswers: all requests arrive, but with the one that holds the mark a connection loses its answers, for good.
func TestLoseAnswers(t *testing.T) {
	address, heard := shouter(t, "!")
	p := start(t, to(address))
	marked, other := connect(t, p), connect(t, p)
	marked.says("one", "one!")
	p.LoseAnswers("WRITE")
	marked.says("two", "two!")
	other.says("three", "three!")
	if n := p.AnswersLost(); n != 0 {
		t.Errorf("%d connections have lost answers before there was a mark", n)
	}
	fmt.Fprintln(marked, "WRITE four")
	marked.silent("it has the mark")
	other.says("five", "five!")
	p.Open()
	other.says("WRITE six", "WRITE six!")
	fmt.Fprintln(marked, "seven")
	marked.silent("the connection has lost an answer before")
	connect(t, p).says("eight", "eight!")
	for _, want := range []string{"one", "two", "three", "WRITE four", "five", "WRITE six", "seven", "eight"} {
		if got := <-heard; got != want {
			t.Errorf("the server heard %q, want %q", got, want)
		}
	}
	if n := p.AnswersLost(); n != 1 {
		t.Errorf("%d connections have lost answers, want 1", n)
	}
	p.LoseAnswers("WRITE")
	p.Shut()
	marked.over("shut")
}

// TestTarget: each connection goes to where the server is then, and ends where there is none. One that was on its way when it was cut doesn't go to where
// the server was.
func TestTarget(t *testing.T) {
	one, _ := shouter(t, "!")
	other, heard := shouter(t, "?")
	var at atomic.Pointer[string]
	asked, answer := make(chan struct{}), make(chan struct{})
	var slow atomic.Bool
	p := start(t, func() (string, error) {
		address := at.Load()
		if slow.Load() {
			asked <- struct{}{}
			<-answer
		}
		if address == nil {
			return "", errors.New("it is down")
		}
		return *address, nil
	})
	connect(t, p).over("it is down")
	at.Store(&one)
	stays := connect(t, p)
	stays.says("hello", "hello!")
	at.Store(&other)
	stays.says("hello", "hello!")
	connect(t, p).says("hello", "hello?")
	<-heard
	slow.Store(true)
	late := connect(t, p)
	<-asked
	slow.Store(false)
	at.Store(&one)
	p.Cut()
	close(answer)
	fmt.Fprintln(late, "hello")
	late.over("cut on its way")
	if len(heard) > 0 {
		t.Error("it went to where the server was before")
	}
}

// TestClose: it ends all connections.
func TestClose(t *testing.T) {
	address, _ := shouter(t, "!")
	p, err := tcpproxy.Start(to(address))
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, p)
	c.says("hello", "hello!")
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	c.over("closed")
	if c, err := net.Dial("tcp", p.Addr()); err == nil {
		_ = c.Close()
		t.Error("it still listens")
	}
}
