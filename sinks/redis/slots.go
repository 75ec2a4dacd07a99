package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// A cluster's keys are in 16,384 slots, by CRC16 of the key or, where it has one, of what stands in its first
// braces: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec.
const slots = 16384

// slotOf returns the slot of a tag.
func slotOf(tag string) int {
	const polynomial = 0x1021 // XMODEM's
	var crc uint16
	for i := range len(tag) {
		crc ^= uint16(tag[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ polynomial
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % slots
}

// slotRange is slots from first to last.
type slotRange struct{ first, last int }

func (r slotRange) holds(slot int) bool { return r.first <= slot && slot <= r.last }

func anyHolds(ranges []slotRange, slot int) bool {
	for _, r := range ranges {
		if r.holds(slot) {
			return true
		}
	}
	return false
}

// tagIn returns the first tag whose slot is in one of these ranges, of which there is at least one.
func tagIn(ranges []slotRange) string {
	for n := 0; ; n++ {
		if tag := "mr" + strconv.Itoa(n); anyHolds(ranges, slotOf(tag)) {
			return tag
		}
	}
}

// spread is how many tags there are at least in a cluster, evenly spaced: they are the same
// whoever has the slots, and enough for most clusters.
const spread = 16

func spreadTags() []string {
	const width, tolerance = slots / spread, 16
	tags := make([]string, spread)
	for i := range tags {
		middle := i*width + width/2
		tags[i] = tagIn([]slotRange{{middle - tolerance, middle + tolerance}})
	}
	return tags
}

// clustered reports whether this is a cluster, whose scripts reach one slot's keys only.
func (s *Sink) clustered(ctx context.Context) (bool, error) {
	if _, single := s.config.Client.(*goredis.Client); single {
		return false, nil
	}
	st := &s.standing
	st.mu.Lock()
	known := st.cluster
	st.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	_, cluster, err := s.askSlots(ctx)
	if err != nil {
		return false, err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.cluster = &cluster
	return cluster, nil
}

// askSlots returns who has which slots, or false where there is no cluster.
func (s *Sink) askSlots(ctx context.Context) (ranges []goredis.ClusterSlot, cluster bool, err error) {
	ranges, err = s.config.Client.ClusterSlots(ctx).Result()
	switch {
	case err == nil:
		return ranges, true, nil
	case strings.Contains(err.Error(), "cluster support disabled"): // a client for Sentinel's replicas looks like a cluster's, too
		return nil, false, nil
	default:
		return nil, false, Explain(fmt.Errorf("asking the cluster who has which slots: %w", err))
	}
}

// tags returns tags such that there is one in a slot of each master.
func (s *Sink) tags(ctx context.Context) ([]string, error) {
	if _, single := s.config.Client.(*goredis.Client); single {
		return spreadTags()[:1], nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	ranges, cluster, err := s.askSlots(ctx)
	if err != nil {
		return nil, err
	}
	if !cluster {
		return spreadTags()[:1], nil
	}
	return clusterTags(ranges), nil
}

// clusterTags returns the spread tags, and one more for each master in whose slots there is none.
func clusterTags(ranges []goredis.ClusterSlot) []string {
	all := spreadTags()
	masters := map[string][]slotRange{}
	var order []string
	for _, r := range ranges {
		if len(r.Nodes) == 0 {
			continue
		}
		id := r.Nodes[0].ID + r.Nodes[0].Addr // the master comes first
		if masters[id] == nil {
			order = append(order, id)
		}
		masters[id] = append(masters[id], slotRange{r.Start, r.End})
	}
	for _, id := range order {
		if !anyTag(all, masters[id]) {
			all = append(all, tagIn(masters[id]))
		}
	}
	return all
}

func anyTag(tags []string, ranges []slotRange) bool {
	for _, tag := range tags {
		if anyHolds(ranges, slotOf(tag)) {
			return true
		}
	}
	return false
}
