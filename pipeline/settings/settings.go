// Package settings is Millrank's file of settings, millrank.yaml: what can be set, what it defaults to, and what is allowed.
//
//	Settings   all of it, a struct for each part      settings.go
//	Default    the defaults                           default.go
//	Load       file, environment and flags, in turn   load.go
//	Schema     a JSON Schema, for editors             schema.go
//	Example    a file with all settings, explained    example.go
//	Reference  docs/configuration.md                  reference.go
//	Cost       what settings cost                     cost.go
//
// A setting has one name everywhere, its path in the file such as time.pane. In the environment that is MILLRANK_TIME_PANE.
package settings

// Settings is the whole of millrank.yaml. Start from Default, or Load a file; the zero value is not valid.
//
// The tags say what a reference and a schema need: yaml is the name, doc says what it is, validate what is allowed.
type Settings struct {
	Name       string   `yaml:"name" validate:"required,name" doc:"Name of this stream's engine: internal topics and consumer groups begin with it (shop.g1.updates)"`
	Generation uint32   `yaml:"generation" validate:"min=1" doc:"Run over the source. Raise it to count anew, beside the old run, with other settings; then 'millrank activate' it"`
	Handlers   []string `yaml:"handlers" validate:"unique,dive,oneof=intake rank leaderboard late history" doc:"Which handlers this process runs. Empty: all that the settings call for"`

	Kafka      Kafka      `yaml:"kafka" doc:"How to reach Kafka. Names are those of Kafka's own clients, with _ in place of dots"`
	Source     Source     `yaml:"source" doc:"Where events come from, and what they look like"`
	Time       Time       `yaml:"time" doc:"Event time: what is counted together, and how long it is waited for"`
	Dedup      Dedup      `yaml:"dedup" doc:"How long an event ID is remembered"`
	Boards     []Board    `yaml:"boards" validate:"required,min=1,dive" doc:"The leaderboards"`
	Topics     Topics     `yaml:"topics" doc:"Topics that Millrank writes; 'millrank topics' creates them"`
	Redis      Redis      `yaml:"redis" doc:"Where leaderboards are written"`
	ClickHouse ClickHouse `yaml:"clickhouse" doc:"Where the history is written"`
	Flush      Flush      `yaml:"flush" doc:"How often results go on to the next stage. Shorter is fresher, longer is cheaper"`
	Limits     Limits     `yaml:"limits" doc:"What bounds memory, and when reading stops"`
	HTTP       HTTP       `yaml:"http" doc:"The process's own HTTP server: /livez, /readyz, /status"`
	Log        Log        `yaml:"log" doc:"What is logged, and how"`

	ShutdownTimeout Duration `yaml:"shutdown_timeout" validate:"duration_min=1s" doc:"How long a stop may take: SIGTERM flushes, commits and leaves the groups"`
}

// Kafka is how to reach Kafka, and how the consumer groups behave.
type Kafka struct {
	BootstrapServers []string `yaml:"bootstrap_servers" validate:"required,min=1,dive,hostport" doc:"Brokers to begin with, host:port each"`
	ClientID         string   `yaml:"client_id" doc:"Name of this client in the brokers' logs and quotas"`
	ClientRack       string   `yaml:"client_rack" doc:"Where this process is; fetches go to a replica there"`
	SecurityProtocol string   `yaml:"security_protocol" validate:"oneof=PLAINTEXT SSL SASL_PLAINTEXT SASL_SSL" doc:"How connections are secured"`

	SSLCALocation          string `yaml:"ssl_ca_location" validate:"omitempty,file" doc:"PEM file of whom to trust. Empty: the system's"`
	SSLCertificateLocation string `yaml:"ssl_certificate_location" validate:"omitempty,file" doc:"PEM file of our certificate, for mTLS"`
	SSLKeyLocation         string `yaml:"ssl_key_location" validate:"omitempty,file" doc:"PEM file of its key"`

	SASLMechanism    string `yaml:"sasl_mechanism" validate:"omitempty,oneof=PLAIN SCRAM-SHA-256 SCRAM-SHA-512" doc:"How to log in"`
	SASLUsername     string `yaml:"sasl_username" doc:"Who logs in"`
	SASLPassword     Secret `yaml:"sasl_password" secret:"true" doc:"Password. Better: sasl_password_file, or the environment"`
	SASLPasswordFile string `yaml:"sasl_password_file" validate:"omitempty,file" doc:"File that holds the password"`

	GroupInstanceID string   `yaml:"group_instance_id" doc:"Static membership: another value for each process, the same after a restart. A restart within the session timeout moves no partition"`
	SessionTimeout  Duration `yaml:"session_timeout" validate:"duration_min=100ms" doc:"A member that isn't heard from for so long loses its partitions"`
	IsolationLevel  string   `yaml:"isolation_level" validate:"oneof=read_committed read_uncommitted" doc:"Whether records of aborted transactions are left out"`
	CompressionType string   `yaml:"compression_type" validate:"oneof=lz4 zstd snappy gzip none" doc:"How what Millrank writes is compressed"`
	DeliveryTimeout Duration `yaml:"delivery_timeout" validate:"duration_min=1s" doc:"How long one write may take, with all retries"`
	RequestTimeout  Duration `yaml:"request_timeout" validate:"duration_min=100ms" doc:"How long a broker may take to answer"`
}

// Source is the topic of events, and how to read them.
type Source struct {
	Topic   string `yaml:"topic" validate:"required,topic" doc:"Topic of the events. It must exist"`
	Cluster string `yaml:"cluster" validate:"omitempty,name" doc:"Name of its cluster, where the same topic is read from several; part of the stream's name in results"`
	Format  string `yaml:"format" validate:"oneof=json" doc:"How events are written"`
	Fields  Fields `yaml:"fields" doc:"Where in an event its parts are: field names joined by dots (payload.item.id)"`

	TimeMin        Time3339 `yaml:"time_min" doc:"Event times before this are malformed: catches seconds where milliseconds are due"`
	TimeMax        Time3339 `yaml:"time_max" doc:"Event times from this on are malformed"`
	RecordBytesMax Bytes    `yaml:"record_bytes_max" validate:"min=64,max=62914560" doc:"Larger records are malformed"`
}

// Fields says where in an event its parts are.
type Fields struct {
	EventID       []string    `yaml:"event_id" validate:"required,min=1,dive,required" doc:"What makes an event unique; several fields together, if need be"`
	Item          string      `yaml:"item" validate:"required" doc:"What is ranked: post, video, product"`
	Region        string      `yaml:"region" doc:"The region. Empty: events have none"`
	RegionDefault *string     `yaml:"region_default" doc:"Region of an event without one. Not set: such an event is malformed"`
	Dimensions    []Dimension `yaml:"dimensions" validate:"dive" doc:"Further fields that boards are split by"`
	Time          string      `yaml:"time" validate:"required" doc:"When it happened"`
	TimeFormat    string      `yaml:"time_format" validate:"oneof=rfc3339 unix_s unix_ms unix_us unix_ns" doc:"How that is written"`
	Value         string      `yaml:"value" doc:"What sum and average add up. Missing: 1"`
	ValueScale    int         `yaml:"value_scale" validate:"min=0,max=9" doc:"How many decimals a value has: 2 for cents"`
	User          string      `yaml:"user" doc:"Who did it"`
}

// Dimension is a field that boards can be split by.
type Dimension struct {
	Name  string `yaml:"name" validate:"required,name" doc:"Name, for a board's 'by' and for keys"`
	Field string `yaml:"field" validate:"required" doc:"Where in an event it is"`
}

// Time is event time. Most of it decides results: a change takes a new generation.
type Time struct {
	Pane            Duration `yaml:"pane" validate:"duration_min=1s,duration_max=400d,whole_ms" doc:"The smallest slice that is counted; all windows are made of whole panes"`
	OutOfOrderness  Duration `yaml:"out_of_orderness" validate:"duration_min=0s,duration_max=400d,whole_ms" doc:"How far events may be behind the newest one of their partition; the watermark runs so far behind"`
	AllowedLateness Duration `yaml:"allowed_lateness" validate:"duration_min=0s,duration_max=400d,whole_ms" doc:"How long after its end, by the watermark, a pane still takes events. What is later goes to the dead letters"`
	MaxAhead        Duration `yaml:"max_ahead" validate:"duration_min=0s,duration_max=400d,whole_ms" doc:"How far an event may be ahead of its record's timestamp. What is further goes to the dead letters"`
	IdleTimeout     Duration `yaml:"idle_timeout" validate:"duration_min=100ms" doc:"A partition without records for so long doesn't hold time back"`
	ReviseFor       Duration `yaml:"revise_for" validate:"duration_min=0s,duration_max=400d,whole_ms" doc:"How long a final window can still be revised, when an idle partition wakes up"`
}

// Dedup is how long an event ID is remembered.
type Dedup struct {
	Horizon  Duration `yaml:"horizon" validate:"duration_min=1s,duration_max=400d,whole_ms" doc:"A repeat within so much event time of its partition is dropped"`
	Segments int      `yaml:"segments" validate:"min=1,max=1000" doc:"The horizon is forgotten in so many steps"`
	Records  int64    `yaml:"records" validate:"min=1024,max=1900000000" doc:"However slowly time passes, at most about so many records back: bounds memory"`
}

// Board is a leaderboard.
type Board struct {
	Name     string   `yaml:"name" validate:"required,board" doc:"Name, in Redis keys"`
	Measure  string   `yaml:"measure" validate:"oneof=count sum average" doc:"What items are ranked by"`
	Window   Duration `yaml:"window" validate:"required,duration_min=1s,duration_max=400d" doc:"How long a window is"`
	Slide    Duration `yaml:"slide" validate:"duration_min=0s,duration_max=400d" doc:"How far apart windows begin. 0: one after the other"`
	Offset   Duration `yaml:"offset" doc:"Where windows begin, from midnight UTC: -1h for days that begin at 23:00"`
	K        int      `yaml:"k" validate:"min=1,max=10000" doc:"How many items a list has"`
	Order    string   `yaml:"order" validate:"oneof=top bottom" doc:"Which end comes first"`
	MinCount int64    `yaml:"min_count" validate:"min=0" doc:"Items with fewer events are left out"`
	By       []string `yaml:"by" validate:"required,min=1,unique" doc:"A list for each: global (all events together), region, another dimension, or several joined by commas (region,category)"`
}

// Topics are the topics that Millrank writes.
type Topics struct {
	ReplicationFactor int         `yaml:"replication_factor" validate:"min=0,max=32767" doc:"Replicas of topics that are created. 0: the brokers' default"`
	Updates           Topic       `yaml:"updates" doc:"Counts on their way to rank. Its partitions are the shards: an item belongs to one"`
	Rankings          Topic       `yaml:"rankings" doc:"Lists on their way to the leaderboards"`
	DeadLetters       DeadLetters `yaml:"dead_letters" doc:"What could not be counted: malformed, future, late"`
}

// Topic is an internal topic.
type Topic struct {
	Partitions int      `yaml:"partitions" validate:"min=1,max=32768" doc:"How many. Another number takes a new generation"`
	Retention  Duration `yaml:"retention" validate:"duration_min=0s" doc:"How long records are kept (retention.ms). 0: what is needed and a day more, which 'millrank validate' prints"`
}

// DeadLetters is the dead-letter topic, which all generations share.
type DeadLetters struct {
	Name            string   `yaml:"name" validate:"omitempty,topic" doc:"Its name. Empty: <source.topic>.dead-letters. All generations share it; another stream (name) over the same source topic needs one of its own, or they count each other's late events"`
	Partitions      int      `yaml:"partitions" validate:"min=1,max=32768" doc:"How many, when it is created"`
	Retention       Duration `yaml:"retention" validate:"duration_min=0s" doc:"How long they are kept, when it is created. 0: the brokers' default"`
	MaxMessageBytes Bytes    `yaml:"max_message_bytes" validate:"min=1024,max=67108864" doc:"The largest dead letter: a record of the source with its headers must fit (max.message.bytes)"`
}

// Redis is where leaderboards are written.
type Redis struct {
	Addresses            []string `yaml:"addresses" validate:"dive,hostport" doc:"A server; nodes of a cluster; or, with master_name, Sentinels. Empty: no leaderboards in Redis, and neither leaderboard nor late runs"`
	MasterName           string   `yaml:"master_name" doc:"Name of the master that Sentinels watch"`
	Username             string   `yaml:"username" doc:"ACL user"`
	Password             Secret   `yaml:"password" secret:"true" doc:"Password. Better: password_file, or the environment"`
	PasswordFile         string   `yaml:"password_file" validate:"omitempty,file" doc:"File that holds the password"`
	SentinelUsername     string   `yaml:"sentinel_username" doc:"ACL user at the Sentinels"`
	SentinelPassword     Secret   `yaml:"sentinel_password" secret:"true" doc:"Password at the Sentinels. Better: sentinel_password_file, or the environment"`
	SentinelPasswordFile string   `yaml:"sentinel_password_file" validate:"omitempty,file" doc:"File that holds the password"`
	DB                   int      `yaml:"db" validate:"min=0" doc:"Database of a single server"`
	TLS                  TLS      `yaml:"tls" doc:"Encryption"`
	Prefix               string   `yaml:"prefix" validate:"excludesall={}" doc:"Stands in front of all keys, such as shop:"`
	DefaultBoard         string   `yaml:"default_board" doc:"Board of the keys that name none (global:top_k). Empty: the first"`
	TTL                  Duration `yaml:"ttl" validate:"duration_min=0s" doc:"How long a key stays after it was written last. 0: 48h, or more where windows need it"`
	Timeout              Duration `yaml:"timeout" validate:"duration_min=100ms" doc:"How long a round trip may take"`
}

// ClickHouse is where the history is written.
type ClickHouse struct {
	Addresses     []string `yaml:"addresses" validate:"dive,hostport" doc:"Servers, host:port each: 9000 is the native protocol's port, 8123 HTTP's. Empty: no history, and the history handler doesn't run"`
	Protocol      string   `yaml:"protocol" validate:"oneof=native http" doc:"Which protocol those ports speak"`
	Database      string   `yaml:"database" validate:"required,identifier" doc:"Database; 'millrank migrate' creates it"`
	Username      string   `yaml:"username" doc:"User"`
	Password      Secret   `yaml:"password" secret:"true" doc:"Password. Better: password_file, or the environment"`
	PasswordFile  string   `yaml:"password_file" validate:"omitempty,file" doc:"File that holds the password"`
	TLS           TLS      `yaml:"tls" doc:"Encryption"`
	Cluster       string   `yaml:"cluster" validate:"omitempty,name" doc:"Name of the cluster, for replicated tables (ON CLUSTER). Empty: a single server"`
	StoragePolicy string   `yaml:"storage_policy" validate:"omitempty,identifier" doc:"Storage policy of the tables. One with a volume 'cold' takes what is older than cold_after"`
	ColdAfter     Duration `yaml:"cold_after" validate:"duration_min=0s" doc:"Age at which history moves to the policy's volume 'cold'. 0: never"`
	TTL           Duration `yaml:"ttl" validate:"duration_min=0s" doc:"How long cells, rankings and dead letters are kept. Roll-ups stay. 0: for ever"`
	Timeout       Duration `yaml:"timeout" validate:"duration_min=1s" doc:"How long an insert may take"`
	Migrate       bool     `yaml:"migrate" doc:"Whether 'millrank run' brings the schema up to date by itself; else 'millrank migrate' does"`
}

// TLS is how a connection is encrypted.
type TLS struct {
	Enabled         bool   `yaml:"enabled" doc:"Whether connections are encrypted"`
	CAFile          string `yaml:"ca_file" validate:"omitempty,file" doc:"PEM file of whom to trust. Empty: the system's"`
	CertificateFile string `yaml:"certificate_file" validate:"omitempty,file" doc:"PEM file of our certificate, for mTLS"`
	KeyFile         string `yaml:"key_file" validate:"omitempty,file" doc:"PEM file of its key"`
	ServerName      string `yaml:"server_name" doc:"Name in the server's certificate, where it isn't the address"`
}

// Flush is how often results go on.
type Flush struct {
	Updates  Duration `yaml:"updates" validate:"duration_min=1ms" doc:"From the intake to rank"`
	Rankings Duration `yaml:"rankings" validate:"duration_min=1ms" doc:"From rank to the leaderboards"`
	Redis    Duration `yaml:"redis" validate:"duration_min=1ms" doc:"From the leaderboards to Redis"`
	History  Duration `yaml:"history" validate:"duration_min=10ms" doc:"Of interim results to ClickHouse; what is final goes at once"`
}

// Limits bound memory, and say when reading stops.
type Limits struct {
	RankItems       int      `yaml:"rank_items" validate:"eq=0|min=1000" doc:"Cells that a shard holds, one for each pane, group, item and source partition. 0: any number. Where they don't suffice, the lightest go, and lists say by how much they can be off"`
	BatchRecords    int      `yaml:"batch_records" validate:"min=1,max=1000000" doc:"Records that are read together"`
	BatchBytes      Bytes    `yaml:"batch_bytes" validate:"min=1024,max=1073741824" doc:"Bytes that are read together"`
	PendingCells    int      `yaml:"pending_cells" validate:"min=1000" doc:"When so many cells of a partition wait for Kafka, reading stops until there are fewer"`
	PendingLists    int      `yaml:"pending_lists" validate:"min=100" doc:"When so many lists of a partition wait for Kafka or Redis, reading stops until there are fewer"`
	DeadLetterShare float64  `yaml:"dead_letter_share" validate:"min=0,max=1" doc:"When more than this share of a partition's records is malformed or from the future, its reading pauses: a producer or the mapping is broken, and the dead letters would fill up. It then tries a batch now and then; after the producer is mended, a restart with 1 reads what is bad at full speed. 0 or 1: never"`
	DeadLetterMin   int      `yaml:"dead_letter_min" validate:"min=1" doc:"The share is taken over so many records at least"`
	DeadLetterPause Duration `yaml:"dead_letter_pause" validate:"duration_min=1s" doc:"How long reading pauses before it tries again, with one batch"`
}

// HTTP is the process's own server.
type HTTP struct {
	Address  string  `yaml:"address" validate:"omitempty,listen" doc:"Where it listens, host:port. Empty: no server"`
	Profiles bool    `yaml:"profiles" doc:"Whether /debug/pprof/ answers, for 'go tool pprof'. A profile shows how the process works: leave it off where others can reach the address"`
	TLS      HTTPTLS `yaml:"tls" doc:"Encryption, and who may ask"`
}

// HTTPTLS is how the process's own server encrypts, and whom it lets in.
type HTTPTLS struct {
	CertificateFile string `yaml:"certificate_file" validate:"omitempty,file" doc:"PEM file of the server's certificate, and those between it and its authority. Empty: no encryption"`
	KeyFile         string `yaml:"key_file" validate:"omitempty,file" doc:"PEM file of its key"`
	ClientCAFile    string `yaml:"client_ca_file" validate:"omitempty,file" doc:"PEM file of the authorities of clients. Where it is given, who shows no certificate of theirs gets /livez and /readyz only"`
	CAFile          string `yaml:"ca_file" validate:"omitempty,file" doc:"PEM file of whom 'millrank status' trusts when it asks processes that have another certificate than this one. Empty: the system's"`
}

// Log is what is logged.
type Log struct {
	Level  string `yaml:"level" validate:"oneof=debug info warn error" doc:"From which level on"`
	Format string `yaml:"format" validate:"oneof=auto text json" doc:"auto: text on a terminal, else json"`
}
