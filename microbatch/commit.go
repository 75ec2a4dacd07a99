package microbatch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
)

// committer writes the commits that handlers ask for, those of all claims in one request.
//
// sarama could do it, but ignores new metadata at an offset that it has committed already, and
// tells nobody whether a commit has arrived.
type committer struct {
	group *group

	writing sync.Mutex // one request at a time, so that an older one can't overtake

	mu      sync.Mutex
	claims  map[*Claim]sarama.ConsumerGroupSession
	refused map[*Claim]refusal
}

// refusal is how often in a row, and since when, commits were refused as those of a member that is not in the group. While
// the group rebalances that happens to any: the generation that a member knows is out of date until all have synced. A member
// that is really out hears it from its heartbeats; where those are fine for as long as three of them, something is wrong.
type refusal struct {
	times int
	since time.Time
}

const refusalsMax = 3

func newCommitter(g *group) *committer {
	return &committer{group: g, claims: map[*Claim]sarama.ConsumerGroupSession{}, refused: map[*Claim]refusal{}}
}

func (k *committer) run(ctx context.Context) {
	ticker := time.NewTicker(k.group.config.CommitInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			k.write(k.all()...)
		case <-ctx.Done():
			return
		}
	}
}

func (k *committer) add(c *Claim, s sarama.ConsumerGroupSession) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.claims[c] = s
}

func (k *committer) remove(c *Claim) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.claims, c)
	delete(k.refused, c)
}

func (k *committer) all() []*Claim {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make([]*Claim, 0, len(k.claims))
	for c := range k.claims {
		all = append(all, c)
	}
	return all
}

// last writes what a claim wants in the end; again until the release timeout where that fails, as while a cooperative
// rebalance is going on, in which nobody knows for a moment which generation is the current one.
func (k *committer) last(c *Claim) {
	for failed := 0; ; failed++ {
		k.write(c)
		if _, _, wanted := c.unwritten(); !wanted {
			return
		}
		select {
		case <-c.ctx.Done():
			return
		case <-time.After(backoff(k.group.config, failed)):
		}
	}
}

// write commits what these claims want, if it is news. What fails is wanted still, and joins the next one.
func (k *committer) write(claims ...*Claim) {
	k.writing.Lock()
	defer k.writing.Unlock()
	sessions := map[sarama.ConsumerGroupSession]map[*Claim]Committed{} // more than one only for a moment
	texts := map[*Claim]string{}
	for _, c := range claims {
		w, text, ok := c.unwritten()
		k.mu.Lock()
		s := k.claims[c]
		k.mu.Unlock()
		if !ok || s == nil {
			continue
		}
		if sessions[s] == nil {
			sessions[s] = map[*Claim]Committed{}
		}
		sessions[s][c], texts[c] = w, text
	}
	for s, wanted := range sessions {
		if err := k.send(s, wanted, texts); err != nil {
			k.group.logger.Info("a commit has failed; it will be tried again", watermill.LogFields{"error": err.Error()})
		}
	}
}

func (k *committer) send(s sarama.ConsumerGroupSession, wanted map[*Claim]Committed, texts map[*Claim]string) error {
	client, config := k.group.client, k.group.config
	coordinator, err := client.Coordinator(config.GroupID)
	if err != nil {
		return err
	}
	request := sarama.NewOffsetCommitRequest(client.Config(), config.GroupID)
	request.ConsumerID, request.ConsumerGroupGeneration = s.MemberID(), s.GenerationID()
	if config.GroupInstanceID != "" {
		request.GroupInstanceId = &config.GroupInstanceID
	}
	for c, w := range wanted {
		request.AddBlockWithLeaderEpoch(c.Topic, c.Partition, w.Offset, -1, 0, texts[c])
	}
	response, err := coordinator.CommitOffset(request)
	if err != nil {
		_ = coordinator.Close()                       // so that the client connects anew
		_ = client.RefreshCoordinator(config.GroupID) // it may have moved
		return err
	}
	var errs []error
	moved := false
	for c, w := range wanted {
		answer, ok := response.Errors[c.Topic][c.Partition]
		switch {
		case !ok:
			errs = append(errs, sarama.ErrIncompleteResponse)
		case answer == sarama.ErrNoError:
			c.confirm(w)
			k.settle(c, false)
		default:
			moved = moved || answer == sarama.ErrNotCoordinatorForConsumer || answer == sarama.ErrConsumerCoordinatorNotAvailable
			errs = append(errs, fmt.Errorf("partition %d: %w", c.Partition, k.failed(c, answer)))
		}
	}
	if moved {
		_ = client.RefreshCoordinator(config.GroupID)
	}
	return errors.Join(errs...)
}

// failed deals with the broker's refusal of a claim's commit.
func (k *committer) failed(c *Claim, answer sarama.KError) error {
	switch answer {
	case sarama.ErrFencedInstancedId:
		c.Refuse(k.group.fenced())
	case sarama.ErrIllegalGeneration, sarama.ErrUnknownMemberId:
		if r := k.settle(c, true); r.times >= refusalsMax && time.Since(r.since) > refusalsMax*k.group.config.HeartbeatInterval {
			c.over(fmt.Errorf("this member is no longer in the group: %w", answer), true)
		}
	case sarama.ErrOffsetMetadataTooLarge:
		err := fmt.Errorf("the broker refuses the metadata of commits: raise its setting offset.metadata.max.bytes to %d: %w", metadataLimit, answer)
		c.Refuse(err)
		return err
	}
	return answer
}

// settle counts refusals in a row.
func (k *committer) settle(c *Claim, refused bool) refusal {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, running := k.claims[c]; !running || !refused {
		delete(k.refused, c)
		return refusal{}
	}
	r := k.refused[c]
	if r.times++; r.times == 1 {
		r.since = time.Now()
	}
	k.refused[c] = r
	return r
}
