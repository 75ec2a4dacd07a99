// Package operators runs by itself.
package operators

type pump struct {
	in chan int // want "channel type in a pure package"
}

func (p *pump) run() {
	go p.run()  // want "go statement in a pure package"
	p.in <- 1   // want "send in a pure package"
	n := <-p.in // want "receive in a pure package"
	select {    // want "select in a pure package"
	case p.in <- n:
	default:
	}
}
