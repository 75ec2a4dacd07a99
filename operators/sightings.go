package operators

import "github.com/millrank/millrank/event"

// sightings is a queue of event IDs in fixed chunks: added at the head, forgotten at
// the tail, read anywhere between. Positions count up and wrap at 2³²; Settings hold
// what is live below 2³¹, so a position is live iff it lies between tail and head.
type sightings struct {
	chunks     []*chunk // chunks[0] holds the tail's position
	free       []*chunk // forgotten ones, to be used again
	tail, head uint32
}

// chunk holds 20 bytes per sighting; two arrays, since one of structs would pad to 24.
type chunk struct {
	ids      [chunkLen]event.ID
	payloads [chunkLen]uint32 // hash of what the event says besides its ID
}

const (
	chunkBits = 10
	chunkLen  = 1 << chunkBits
	chunkSize = chunkLen * 20
)

// add appends a sighting and returns its position.
func (q *sightings) add(id event.ID, payload uint32) uint32 {
	position := q.head
	if int(q.chunkOf(position)) == len(q.chunks) {
		q.chunks = append(q.chunks, q.newChunk())
	}
	c := q.chunks[q.chunkOf(position)]
	c.ids[position%chunkLen], c.payloads[position%chunkLen] = id, payload
	q.head++
	return position
}

// at returns the chunk that holds a live position, and its place there.
func (q *sightings) at(position uint32) (*chunk, uint32) {
	return q.chunks[q.chunkOf(position)], position % chunkLen
}

func (q *sightings) live(position uint32) bool { return position-q.tail < q.head-q.tail }

func (q *sightings) len() uint32 { return q.head - q.tail }

// forget moves the tail up to a position, and sets the chunks below it free.
func (q *sightings) forget(tail uint32) {
	gone := q.chunkOf(tail)
	for _, c := range q.chunks[:gone] {
		if len(q.free) < 1+len(q.chunks)/16 { // the rest goes back, to be had again at 20 bytes an ID
			q.free = append(q.free, c)
		}
	}
	clear(q.chunks[:gone])
	q.chunks, q.tail = q.chunks[gone:], tail
}

func (q *sightings) newChunk() *chunk {
	n := len(q.free)
	if n == 0 {
		return new(chunk)
	}
	c := q.free[n-1]
	q.free = q.free[:n-1]
	return c
}

// chunkOf counts chunks from the tail's; right across the wrap, since 2³² is a multiple of chunkLen.
func (q *sightings) chunkOf(position uint32) uint32 {
	return (position - q.tail&^(chunkLen-1)) >> chunkBits
}

func (q *sightings) bytes() int { return (len(q.chunks) + len(q.free)) * chunkSize }
