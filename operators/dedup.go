package operators

import "github.com/millrank/millrank/event"

// dedup is the set of event IDs seen within the horizon of one source partition.
//
// A record at offset o stands in segment(o) = (floor(W(o)/g), floor(o/m)). It is a
// duplicate iff a record with the same ID at some o' < o has
//
//	floor(W(o')/g) >= floor(W(o)/g) - N  and  floor(o'/m) >= floor(o/m) - R.
//
// Every ID that gets here enters the set or is refreshed, late and duplicate ones too,
// so the decision is a function of a finite stretch of the log. Both parts of a
// segment's key only grow along the log, so an ID's last sighting decides alone.
//
// Sightings are appended to a log of chunks, segment after segment, and an index leads from
// a hash to an ID's last sighting. Forgetting a segment moves the log's tail: its
// chunks are reused whole, nothing is swept, and index slots that lead below the tail
// are dead, to be overwritten when an insert comes by. (A table per segment was
// rejected: a new ID, the common case, would have to be looked for in all N+1 of them.)
// That holds an ID in 20 bytes plus about 15 of index.
type dedup struct {
	segmentWidth   int64 // g, milliseconds of watermark
	segmentsBack   int64 // N
	segmentRecords int64 // m, offsets
	recordsBack    int64 // R

	segments  []segment // live ones, oldest first; the last one takes new sightings
	sightings sightings
	index     index
}

// segment is a run of the log within which the key stays the same.
type segment struct {
	watermarkKey, offsetKey int64  // floor(W/g), floor(o/m)
	first                   Mark   // its first record's offset, and W before that record
	begin                   uint32 // its first sighting
}

// Mark is a place in a log from where state can be rebuilt: an offset, and the
// watermark before the record there.
type Mark struct {
	Offset    int64
	Watermark int64 // Unix milliseconds, or event.NoTime
}

func newDedup(s Settings) dedup {
	return dedup{
		segmentWidth: s.DedupSegment.Milliseconds(), segmentsBack: int64(s.DedupSegments),
		segmentRecords: s.DedupRecords, recordsBack: int64(s.DedupRecordSegments),
	}
}

// see notes a sighting of an ID at an offset, where the watermark moved from before to
// w. It reports whether the record is a duplicate, and if so, whether its payload
// differs from that of the sighting before it.
func (d *dedup) see(offset, before, w int64, id event.ID, payload uint32) (duplicate, conflict bool) {
	current := d.enter(offset, before, w)
	if d.index.full() {
		d.rebuildIndex()
	}
	slots, want, dead := d.index.slots, tag(hashOf(id)), -1
	i := home(want, len(slots))
	for slots[i] != 0 { // spelled out, and not a probe, to find the first dead slot on the way
		position := uint32(slots[i])
		if !d.sightings.live(position) {
			if dead < 0 {
				dead = i
			}
		} else if slots[i]>>32 == want {
			if c, k := d.sightings.at(position); c.ids[k] == id {
				conflict = c.payloads[k] != payload
				c.payloads[k] = payload
				if position-d.sightings.tail < current-d.sightings.tail { // in an older segment: refresh
					slots[i] = want<<32 | uint64(d.sightings.add(id, payload))
				}
				return true, conflict
			}
		}
		if i++; i == len(slots) {
			i = 0
		}
	}
	if dead >= 0 {
		i = dead
	} else {
		d.index.used++
	}
	slots[i] = want<<32 | uint64(d.sightings.add(id, payload))
	return false, false
}

func hashOf(id event.ID) uint32 { return uint32(id[0] >> 32) }

// enter makes the segment of (offset, w) the current one, forgets those beyond the
// horizon, and returns the current one's first sighting.
func (d *dedup) enter(offset, before, w int64) uint32 {
	last := len(d.segments) - 1
	if last >= 0 {
		// Within the current segment's key, the common case, nothing changes.
		s := &d.segments[last]
		if from := s.watermarkKey * d.segmentWidth; w >= from && w-from < d.segmentWidth {
			if from := s.offsetKey * d.segmentRecords; offset >= from && offset-from < d.segmentRecords {
				return s.begin
			}
		}
	}
	key := segment{watermarkKey: floorDiv(w, d.segmentWidth), offsetKey: floorDiv(offset, d.segmentRecords)}
	gone := 0
	for gone <= last && (d.segments[gone].watermarkKey < key.watermarkKey-d.segmentsBack || d.segments[gone].offsetKey < key.offsetKey-d.recordsBack) {
		gone++
	}
	key.first, key.begin = Mark{offset, before}, d.sightings.head
	d.segments = append(d.segments[:copy(d.segments, d.segments[gone:])], key)
	d.sightings.forget(d.segments[0].begin)
	return key.begin
}

// oldest returns where the oldest live segment begins, and false when there is none.
func (d *dedup) oldest() (Mark, bool) {
	if len(d.segments) == 0 {
		return Mark{}, false
	}
	return d.segments[0].first, true
}

// rebuildIndex drops the dead slots and sizes the table for what lives, five ninths full.
func (d *dedup) rebuildIndex() {
	d.index.rebuild(9*int(d.sightings.len())/5, d.sightings.live)
}

// bytes returns the memory that the set holds.
func (d *dedup) bytes() int { return 8*cap(d.index.slots) + d.sightings.bytes() }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
