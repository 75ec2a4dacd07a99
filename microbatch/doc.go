// Package microbatch is a Watermill Subscriber and Publisher for Kafka that carry many
// records in one message, and resume exactly.
//
// It is built on watermill-kafka, which holds the consumer group together, and on
// sarama below it. watermill-kafka sends one record at a time and waits for its ack, and
// Watermill's router starts a goroutine for each: a hundred thousand records a second. Here
// a message holds what has arrived, up to a limit, as a frame (frame.go), so that the
// price of a message is paid once for thousands of records.
//
//	Subscriber     messages of many records, one in flight per partition    subscriber.go
//	Claim          a partition while it is ours; takes checkpoints          claim.go
//	Batch, Record  reads a message's payload without copying                frame.go
//	Publisher      sends messages together, to all partitions at once       publisher.go
//	EnsureTopics   creates topics, or says how they differ                  topics.go
//	Connection     how to reach Kafka, by Kafka's own setting names         connection.go
//
// An ack says that a handler has taken a batch in, not that the work is done: it only lets the
// next batch come. What is committed is what the handler says by Claim.Commit, an offset to
// read again from with a state to go on with. So a handler never has to hold an ack back
// until a window closes, which would hold up its partition and every rebalance.
package microbatch
