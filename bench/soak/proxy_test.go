package main

import (
	"bufio"
	"fmt"
	"net"
	"testing"
)

// TestProxy: what goes in comes out; a cut ends a connection, and the next one works.
func TestProxy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					fmt.Fprintln(c, lines.Text()+"!")
				}
			}()
		}
	}()
	p, err := startProxy(func() (string, error) { return l.Addr().String(), nil })
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}()
	for range 2 {
		c, err := net.Dial("tcp", p.addr())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(c, "hello")
		answers := bufio.NewReader(c)
		if got, err := answers.ReadString('\n'); got != "hello!\n" {
			t.Fatalf("%q, %v", got, err)
		}
		if n := p.cut(); n != 1 {
			t.Errorf("%d connections cut, want 1", n)
		}
		if got, err := answers.ReadString('\n'); err == nil {
			t.Errorf("after the cut came %q", got)
		}
		_ = c.Close()
	}
}
