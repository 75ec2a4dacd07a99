package handlers

import (
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/millrank/millrank/event"
)

// progress is how far a partition is, whichever handler reads it.
type progress struct {
	at, logEnd, lowWater, through int64
	watermark                     int64 // Unix milliseconds, or event.NoTime
	pending                       int
	replaying                     bool
	replayThrough                 int64
}

// farness is the metrics of that.
type farness struct {
	now                               func() time.Time
	lag, distance, remaining, pending metric.Int64ObservableGauge
	watermark, behind                 metric.Float64ObservableGauge
}

func (o *observed) progress() farness {
	return farness{
		now:       o.now,
		lag:       o.Observed("millrank.partition.lag", "{record}", "Offsets from processed-through to the log's end"),
		distance:  o.Observed("millrank.partition.replay.distance", "{record}", "Offsets that a restart would read again"),
		remaining: o.Observed("millrank.partition.replay.remaining", "{record}", "Offsets to be read until a replay is done"),
		pending:   o.Observed("millrank.partition.pending", "{entry}", "Cells, lists or rows that wait to be sent, or to be acknowledged"),
		watermark: o.ObservedSeconds("millrank.partition.watermark.timestamp", "Event time: the watermark of a source partition, or the closing watermark"),
		behind:    o.ObservedSeconds("millrank.partition.watermark.lag", "The clock less the watermark"),
	}
}

func (f *farness) observe(to metric.Observer, p progress, at metric.MeasurementOption) {
	if p.logEnd >= 0 {
		to.ObserveInt64(f.lag, max(0, p.logEnd-1-p.through), at)
	}
	to.ObserveInt64(f.distance, max(0, p.at+1-p.lowWater), at)
	remaining := int64(0)
	if p.replaying {
		remaining = max(0, p.replayThrough-p.at)
	}
	to.ObserveInt64(f.remaining, remaining, at)
	to.ObserveInt64(f.pending, int64(p.pending), at)
	if p.watermark != event.NoTime {
		to.ObserveFloat64(f.watermark, float64(p.watermark)/1000, at)
		to.ObserveFloat64(f.behind, float64(f.now().UnixMilli()-p.watermark)/1000, at)
	}
}

// hopness is the metrics of a hop.
type hopness struct {
	farness
	foreign, afterFinal metric.Int64ObservableCounter
}

func (o *observed) hops() hopness {
	return hopness{
		farness:    o.progress(),
		foreign:    o.Total("millrank.partition.foreign", "{record}", "Records of our own topics that Millrank has not written"),
		afterFinal: o.Total("millrank.partition.after_final", "{entry}", "Cells or lists that came for a window that had been dropped"),
	}
}

// observe says how far a hop is; windows, whether it has any.
func (h *hopness) observe(to metric.Observer, s *HopStatus, pending int, windows bool, at metric.MeasurementOption) {
	h.farness.observe(to, progress{s.Offset, s.LogEnd, s.LowWater, s.PublishedThrough, s.ClosedThrough, pending, s.Replaying, s.ReplayThrough}, at)
	to.ObserveInt64(h.foreign, s.Foreign, at)
	if windows {
		to.ObserveInt64(h.afterFinal, s.AfterFinal, at)
	}
}
