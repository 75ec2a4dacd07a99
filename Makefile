# Millrank's tasks. `make` alone lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

# Go from `make deps`, where the machine has none that is new enough.
export PATH := $(CURDIR)/.tools/go/bin:$(PATH)

# What can be set from outside, as in `make fuzz FUZZTIME=10m`.
FUZZ       ?= FuzzJSON
FUZZ_PKG   ?= ./event
FUZZTIME   ?= 60s
# Which mutants `make mutants` tries, by area: replay, fold, dedup, ... or all.
MUTANTS    ?= .
# How many schedules `make sim` runs, and the first one's seed.
SEEDS      ?= 10000
SEED       ?= 1
# How many events a second `make soak` produces, and for how long; SEED is its seed, too.
RATE       ?= 50000
DURATION   ?= 1h
BENCH      ?= .
BENCH_PKGS ?= ./event ./operators ./wire
BENCH_ARGS ?=
# Of `make bench`: how many events, how often each engine runs, and which (all, where empty), as in ONLY=millrank; of `make bench-sweeps`: which.
EVENTS     ?= 5000000
RUNS       ?= 3
ONLY       ?=
SWEEP      ?=
# What the demo is told, as in DEMO_ARGS='--redis-port 6379'; MILLRANK_DEMO_EXIT=1 ends it after the comparison.
DEMO_ARGS  ?=
# Packages with goroutines, and of the others those that take seconds.
RACE_PKGS  ?= ./event ./watermark ./wire ./sinks/... ./microbatch ./handlers ./pipeline ./internal/feed ./internal/progress

STAGE := @scripts/stage.sh
GOLANGCI_LINT := go tool -modfile=golangci-lint.mod golangci-lint
# Packages whose tests run against servers: two at a time, and one at a time those that measure how long things take.
STORE_PKGS  = ./internal/embedded/... ./internal/apachekafka ./internal/redisserver ./internal/kafkaclient ./internal/logread ./internal/feed ./sinks/... ./pipeline/settings ./cmd/...
SERVER_PKGS = ./internal/progress ./microbatch ./handlers ./pipeline ./test/chain ./bench/...
# All other packages but the two that have a stage of their own.
PKGS = $$(go list ./... | grep -vE '/(internal/(lint|mutants|embedded/?.*|apachekafka|redisserver|kafkaclient|logread|feed|progress)|sinks/.*|microbatch|handlers|pipeline/?.*|cmd/.*|test/.*|bench/.*)$$')
GO_FILES = $$(find . -name '.?*' -prune -o -name '*.go' -print)

.PHONY: help
help: ## Show this list
	@echo 'make TARGET, where TARGET is one of'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo 'Settings (make TARGET NAME=VALUE): FUZZ, FUZZ_PKG, FUZZTIME, MUTANTS, SEEDS, SEED, RATE, DURATION, BENCH, BENCH_PKGS, BENCH_ARGS, EVENTS, RUNS, ONLY, SWEEP, RACE_PKGS'

.PHONY: demo
demo: build ## See it work: real data through an embedded Kafka into an embedded Redis, and every list compared with the known answers
	@bin/millrank demo $(DEMO_ARGS)

.PHONY: build
build: ## Build the program: bin/millrank
	@scripts/deps.sh go
	@[ -x bin/millrank ] || echo 'Building bin/millrank; the first time, Go downloads its modules (a minute or two) ...'
	@go build -trimpath -o bin/millrank ./cmd/millrank

.PHONY: deps
deps: ## Install what the tests need and this machine lacks; says first what and how
	@scripts/deps.sh

.PHONY: test
test: deps fmt-check rules vet test-unit test-servers lint ## Run all checks and tests, after `deps`; CI also runs the demo, e2e, race, race-chain and mutants
	@echo 'make test: all stages passed'

.PHONY: fmt
fmt: ## Format all Go files
	@gofmt -s -w $(GO_FILES)

.PHONY: fmt-check
fmt-check: ## Check that all Go files are formatted
	$(STAGE) 'format' bash -c 'bad=$$(gofmt -s -l "$$@") || exit 1; [ -z "$$bad" ] || { echo "not formatted (run make fmt):"; echo "$$bad"; exit 1; }' gofmt $(GO_FILES)

.PHONY: rules
rules: ## Check import rules and other promises about the code's structure (internal/lint)
	$(STAGE) 'rules' go test -count=1 ./internal/lint

.PHONY: generate
generate: ## Generate anew: the Go code of wire/*.proto (installs protoc and its plugins into .tools), docs/configuration.md, deployments/millrank.*
	@wire/generate.sh
	go test -count=1 -run TestFiles ./pipeline/settings -rewrite

.PHONY: vet
vet: ## Run go vet
	$(STAGE) 'go vet' go vet -tags e2e ./...

.PHONY: lint
lint: ## Run golangci-lint (settings: .golangci.yml; version: golangci-lint.mod)
	$(STAGE) 'golangci-lint' $(GOLANGCI_LINT) run

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities in what the program calls, in Go's database (over the network)
	go run golang.org/x/vuln/cmd/govulncheck@v1.1.4 ./...

.PHONY: test-unit
test-unit: ## Run unit, script and property tests, and the fuzz seeds
	$(STAGE) 'tests' go test -count=1 -shuffle=on $(PKGS)

.PHONY: test-servers
test-servers: ## Run the tests against Kafka and Redis: the embedded ones, and real servers
	$(STAGE) 'tests of servers and stores' go test -count=1 -p 2 -timeout 15m $(STORE_PKGS)
	$(STAGE) 'tests against servers' go test -count=1 -p 1 -timeout 15m $(SERVER_PKGS)

.PHONY: e2e
e2e: deps ## Run the built program, as several processes, against real servers and ClickHouse's engine, while all that can go wrong does; CI runs it
	$(STAGE) 'end to end' go test -tags e2e -count=1 -timeout 30m ./test/e2e ./test/security
	$(STAGE) 'end to end: benchmarks and soak' go test -tags e2e -count=1 -p 1 -timeout 10m -run 'TestRun|TestSoak' ./bench/compare ./bench/soak

.PHONY: plan-check
plan-check: deps ## Compare what 'millrank plan' says with two measured runs, for a quiet machine: 90 seconds
	$(STAGE) 'plan' go test -tags e2e -count=1 -timeout 10m -v -run TestPlan ./test/plan

.PHONY: deploy-check
deploy-check: ## Check what is in deployments: compose, image, Helm chart, alerts, dashboard; the first time it builds their tools, 5 minutes
	@scripts/deps.sh go
	$(STAGE) 'deployments' bash -c 'cd deployments/test && go vet -mod=mod ./... && go test -mod=mod -count=1 -timeout 20m ./...'

.PHONY: release-check
release-check: ## Check .goreleaser.yaml; the first time it builds goreleaser, some minutes
	@scripts/deps.sh go
	$(STAGE) 'release' go tool -modfile=deployments/goreleaser.mod goreleaser check

.PHONY: race
race: ## Run the tests of RACE_PKGS, the short ones, under the race detector
	$(STAGE) 'race detector' env CGO_ENABLED=1 go test -race -short -count=1 -p 1 -timeout 15m $(RACE_PKGS)

.PHONY: race-chain
race-chain: ## Run the short tests of the whole chain under the race detector: 3 minutes
	@$(MAKE) --no-print-directory race RACE_PKGS=./test/chain

.PHONY: mutants
mutants: ## Break the core in all known ways (MUTANTS), and check that the tests see each of them: 11 minutes
	$(STAGE) 'mutants' go test -run 'TestSnippets|TestJudge|TestMutants/(control|$(MUTANTS))' -timeout 30m ./internal/mutants -count=1 -v

.PHONY: sim
sim: ## Simulate the whole chain under faults, SEEDS schedules from SEED on, each twice; one that fails is made smaller and printed as a script
	$(STAGE) 'sim' go test -count=1 -timeout 24h -v -run '^TestSeeds$$' ./sim/chain -args -seeds=$(SEEDS) -first=$(SEED)

.PHONY: fuzz
fuzz: ## Fuzz FUZZ of FUZZ_PKG for FUZZTIME (FuzzJSON, the event codec, 60 s)
	go test -run '^$$' -fuzz '^$(FUZZ)$$' -fuzztime $(FUZZTIME) $(FUZZ_PKG)

.PHONY: bench
bench: ## Have Millrank and the plain-Go bound do the same job on a real Kafka, and compare: EVENTS, RUNS, ONLY; report in dist/bench
	@scripts/deps.sh
	@go build -trimpath -o bin/bench-compare ./bench/compare
	@bin/bench-compare -events $(EVENTS) -runs $(RUNS) -only '$(ONLY)' $(BENCH_ARGS)

.PHONY: bench-stat
bench-stat: ## Compare the engines of the last `make bench` by benchstat, run by run; BENCH_ARGS='-program before=/tmp/millrank' has an older build among them
	go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da -col /engine dist/bench/runs.txt

.PHONY: bench-peers
bench-peers: ## The same with Apache Flink and Kafka Streams beside them (a JDK and Maven are needed); a quarter of an hour
	@scripts/peers.sh
	@$(MAKE) --no-print-directory bench BENCH_ARGS='-peers $(BENCH_ARGS)'

.PHONY: bench-sweeps
bench-sweeps: ## Change one thing at a time (SWEEP=items,shards or all), and see what it does to speed, memory and freshness; 25 minutes; dist/bench/sweeps
	@scripts/deps.sh
	@go build -trimpath -o bin/bench-sweeps ./bench/sweeps
	@bin/bench-sweeps -only '$(SWEEP)' $(BENCH_ARGS)

.PHONY: bench-steady
bench-steady: ## Run the built program at 100,000 events/s for three minutes and five more, with real servers: freshness, lag and memory over time; dist/bench/steady
	@scripts/deps.sh
	@go build -trimpath -o bin/bench-freshness ./bench/freshness
	@bin/bench-freshness -steady -broker real -regions 20 -duration 5m -warmup 3m -probe 50ms $(BENCH_ARGS)

.PHONY: bench-docs
bench-docs: ## Put the reports of dist/bench into docs/performance.md, pictures and all
	@go run ./bench/publish

.PHONY: bench-go
bench-go: ## Run the benchmarks BENCH of BENCH_PKGS, on one core
	go test -run '^$$' -bench '$(BENCH)' -benchmem -cpu 1 $(BENCH_PKGS)

.PHONY: bench-intake
bench-intake: ## Measure how fast records come out of a real Kafka: sarama, watermill-kafka, our subscriber, the full fold (BENCH_ARGS)
	go run ./bench/intake $(BENCH_ARGS)

.PHONY: bench-freshness
bench-freshness: ## Measure how long it takes from an event produced to its being seen in Redis, at 100,000 events/s (BENCH_ARGS)
	go run ./bench/freshness $(BENCH_ARGS)

.PHONY: soak
soak: build ## Run the built program for DURATION, at RATE events/s, while one thing after the other breaks (SEED), and compare all with an oracle; report in dist/soak
	@go build -trimpath -o bin/bench-soak ./bench/soak
	@bin/bench-soak -program bin/millrank -rate $(RATE) -duration $(DURATION) -seed $(SEED) $(BENCH_ARGS)

.PHONY: cover
cover: ## Measure test coverage: coverage.out, coverage.html
	go test -count=1 -coverprofile=coverage.out -coverpkg=./event,./watermark,./operators $(PKGS)
	go tool cover -html=coverage.out -o coverage.html
	@go tool cover -func=coverage.out | tail -n 1

.PHONY: clean
clean: ## Remove what was built, also the Go in .tools; Go's own caches stay
	rm -rf .tools bin dist coverage.out coverage.html
