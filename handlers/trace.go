package handlers

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/meter"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/sinks/deadletters"
)

// How a trace goes: a batch of records has a span, unless it is not sampled. A flush that holds what a sampled batch has changed has one for each
// lane, with links to those batches; its parent is the first of them, so that the sampler decides once, at the intake. The last message of a flush carries the span
// as its traceparent. Whoever takes that in links its own flush to it, and so on to the write to a store.
//
// The same message says since when its oldest records are known, which is what freshness is reckoned from.

// MetadataSince is the header of the last message of a flush that says how old what it holds is: the timestamp of the first record of its oldest
// batch, and when intake was given that batch, both Unix milliseconds, with a comma between.
const MetadataSince = "millrank-since"

// linksMax is how many links a flush's span has at most. They are the oldest.
const linksMax = 64

// cargo is what is known of where the entries of a flush come from.
type cargo struct {
	record, receipt int64 // Unix milliseconds, of the oldest; receipt 0: nothing new is in it
	links           []trace.SpanContext
}

// add takes in another one's.
func (c *cargo) add(o cargo) {
	if o.receipt == 0 {
		return
	}
	if c.receipt == 0 {
		c.record, c.receipt = o.record, o.receipt
	}
	c.record, c.receipt = min(c.record, o.record), min(c.receipt, o.receipt)
	for _, l := range o.links {
		if len(c.links) < linksMax && !slices.ContainsFunc(c.links, l.Equal) {
			c.links = append(slices.Clip(c.links), l) // lanes share what was there
		}
	}
}

// freight is a stage's cargo, by lane. The stage's mu guards it.
type freight struct {
	fresh cargo   // has come since the last flush
	owed  []cargo // came before that, and no flush has taken it along
}

// load gives all lanes what is fresh.
func (f *freight) load(lanes int) {
	if f.fresh.receipt == 0 {
		return
	}
	if f.owed == nil {
		f.owed = make([]cargo, lanes)
	}
	for i := range f.owed {
		f.owed[i].add(f.fresh)
	}
	f.fresh = cargo{}
}

// take gives a flush what is owed to its lane. Where it holds nothing, nothing of that has changed anything there.
func (f *freight) take(lane, entries int) cargo {
	if f.owed == nil {
		return cargo{}
	}
	c := f.owed[lane]
	f.owed[lane] = cargo{}
	if entries == 0 {
		return cargo{}
	}
	return c
}

// back takes back what did not arrive.
func (f *freight) back(lane int, c cargo) {
	if c.receipt != 0 {
		c.add(f.owed[lane])
		f.owed[lane] = c
	}
}

// takes notes what a record says of what it holds.
func (f *freight) takes(r *microbatch.Record) {
	var c cargo
	carrier := propagation.MapCarrier{}
	for _, h := range r.Headers {
		switch string(h.Name) {
		case MetadataSince:
			if _, err := fmt.Sscanf(string(h.Value), "%d,%d", &c.record, &c.receipt); err != nil || c.record < 0 || c.receipt <= 0 {
				return // not ours
			}
		case "traceparent", "tracestate":
			carrier.Set(string(h.Name), string(h.Value))
		}
	}
	if len(carrier) > 0 {
		c.links = sampled(trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier)))
	}
	f.fresh.add(c)
}

// sampled returns a span as links: none where nobody looks at it.
func sampled(span trace.SpanContext) []trace.SpanContext {
	if !span.IsSampled() {
		return nil
	}
	return []trace.SpanContext{span}
}

type cargoKey struct{}

// carry begins a flush to a lane: it returns the context for what sends it, and what notes how that went.
func (in *instruments) carry(ctx context.Context, lane, entries int, c cargo, now func() time.Time) (_ context.Context, done func(error)) {
	began := time.Now()
	span := trace.SpanFromContext(ctx)
	if len(c.links) > 0 {
		ctx, span = in.span(ctx, lane, entries, c.links)
	}
	ctx = context.WithValue(ctx, cargoKey{}, c)
	return ctx, func(err error) {
		attributes := []metric.RecordOption{in.self}
		if err != nil {
			attributes = []metric.RecordOption{metric.WithAttributes(handlerKey.String(in.handler), meter.ErrorType(err))}
			in.failed(ctx, "flush", err)
			span.SetStatus(codes.Error, err.Error())
		} else {
			in.entries.Add(ctx, int64(entries), in.self)
			in.arrived(ctx, c, now)
		}
		in.flushed.Record(ctx, time.Since(began).Seconds(), attributes...)
		if len(c.links) > 0 {
			span.End()
		}
	}
}

// span begins the span of a lane's flush.
func (in *instruments) span(ctx context.Context, lane, entries int, of []trace.SpanContext) (context.Context, trace.Span) {
	links := make([]trace.Link, len(of))
	for i := range of {
		links[i].SpanContext = of[i]
	}
	name, kind := "flush "+in.handler, trace.SpanKindInternal
	if in.to != "" {
		name, kind = "send "+in.to, trace.SpanKindProducer
	}
	ctx, span := in.tracer.Start(trace.ContextWithRemoteSpanContext(ctx, of[0]), name, trace.WithSpanKind(kind), trace.WithLinks(links...))
	span.SetAttributes(handlerKey.String(in.handler), attribute.Int("millrank.entries", entries))
	if in.to != "" {
		span.SetAttributes(systemKey.String("kafka"), doesKey.String("send"), topicKey.String(in.to), partitionID(lane))
	}
	return ctx, span
}

// arrived notes how fresh what has arrived in a store is.
func (in *instruments) arrived(ctx context.Context, c cargo, now func() time.Time) {
	if in.to != "" || c.receipt == 0 {
		return
	}
	at := now().UnixMilli()
	age := func(since int64) float64 { return max(0, float64(at-since)/1000) }
	in.fresh.Record(ctx, age(c.receipt), metric.WithAttributes(handlerKey.String(in.handler), fromKey.String("receipt")))
	in.fresh.Record(ctx, age(c.record), metric.WithAttributes(handlerKey.String(in.handler), fromKey.String("record")))
}

// stamp writes the flush's span, and since when it is known, into its last message: whoever has that has all of the flush.
func stamp(ctx context.Context, messages []*message.Message) {
	c, _ := ctx.Value(cargoKey{}).(cargo)
	if len(messages) == 0 || c.receipt == 0 {
		return
	}
	m := messages[len(messages)-1].Metadata
	m.Set(MetadataSince, fmt.Sprintf("%d,%d", c.record, c.receipt))
	if len(c.links) > 0 {
		propagation.TraceContext{}.Inject(ctx, propagation.MapCarrier(m))
	}
}

// process has a batch of the source handled by a fold.
func (f *fold) process(msg *message.Message, handle func(ctx context.Context) error) error {
	if f.claim != nil {
		return f.tel.processClaimed(msg, f.claim, handle)
	}
	return f.tel.process(msg, f.topic, f.source, "", 1, handle)
}

// origin says where what a batch changes comes from. It is called between the halves of the fold.
func (f *fold) origin(ctx context.Context, receipt time.Time) cargo {
	if len(f.batch.records) == 0 {
		return cargo{}
	}
	c := cargo{record: f.batch.records[0].Time, receipt: receipt.UnixMilli(), links: sampled(trace.SpanContextFromContext(ctx))}
	if c.record < 0 { // it has none
		c.record = c.receipt
	}
	return c
}

// lettersSent counts dead letters.
func (in *instruments) lettersSent(ctx context.Context, letters []deadletters.Letter) {
	var of [event.Decisions]int64
	for i := range letters {
		of[letters[i].Reason]++
	}
	for d, n := range of {
		if n > 0 {
			in.letters.Add(ctx, n, metric.WithAttributes(decisionKey.String(event.Decision(d).String())))
		}
	}
}
