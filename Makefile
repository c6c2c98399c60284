# zcluster's build. Each target first runs deploy/prerequisites, which is quick when everything is there.
#
#   make demo            three real nodes on loopback, with mail in them   (ARGS="--nodes 5" is passed on)
#   make failover        the demo that kills a primary under load and counts what was lost
#   make test            everything: format, lints, unit, property, simulation and end-to-end tests
#   make sim             the cluster under the simulator: 1,000 seeds, each in two processes, and the planted bugs
#                        (ARGS="--seeds 1..10000" for more; docs/simulation.md tells how to read a failure)
#   make properties      the unit and property tests again and again, each round from another random seed (ROUNDS=10);
#                        make test tries the same cases each time, so that it fails for the change and not for the day
#   make bench           zcluster with one node and with three beside Dovecot, on this machine in one run
#   make build           an optimised binary
#
# CARGO_TARGET_DIR is respected. ZCLUSTER_TEST=full makes the end-to-end tests longer (20 kills, 10,000 idle connections).
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.PHONY: demo failover test lint simulated sim unit properties bench build prerequisites

ARGS ?=
# Every recipe builds with the RocksDB archive that the prerequisites keep.
with_env = eval "$$(deploy/prerequisites env)"
simulator = cargo run --locked --quiet --profile sim -p zcluster-simulation --
say = printf '\n== %s (%s)\n' "$(1)" "$$(date +%T)"

demo: prerequisites
	@$(with_env)
	$(call say,building zcluster: about 8 minutes the first time on two cores; seconds later)
	cargo build --locked --bin zcluster
	exec cargo run --locked --quiet --bin zcluster -- demo $(ARGS)

failover: prerequisites
	@$(with_env)
	cargo build --locked --bin zcluster
	exec cargo run --locked --quiet --bin zcluster -- demo --failover $(ARGS)

test: prerequisites lint simulated unit
	@$(call say,all tests passed)

lint: prerequisites
	@$(with_env)
	$(call say,format)
	cargo fmt --all --check
	$(call say,lints: checks every crate and its tests without linking them)
	cargo clippy --locked --workspace --all-targets -- -D warnings

# What every change is put to: the plans that once failed, the planted bugs, and seeds, each in two processes.
simulated: prerequisites
	@$(with_env)
	$(call say,building the simulator)
	cargo build --locked --profile sim -p zcluster-simulation
	$(call say,simulation: pinned plans)
	$(simulator) pinned --quiet
	$(call say,simulation: planted bugs)
	$(simulator) planted
	$(call say,simulation: 400 seeds in two processes each; about 3 minutes)
	$(simulator) run --seeds 1..400 --verify --quiet

sim: prerequisites
	@$(with_env)
	$(call say,building the simulator)
	cargo build --locked --profile sim -p zcluster-simulation
	$(simulator) run $(or $(ARGS),--seeds 1..1000) --verify
	$(simulator) planted

unit:
	@deploy/prerequisites test
	$(with_env)
	$(call say,building every crate and its tests in the demo's profile)
	cargo test --locked --workspace --no-run
	$(call say,tests: the end-to-end ones start real nodes and kill them; about 5 minutes)
	PROPTEST_RNG_SEED=$${PROPTEST_RNG_SEED:-1} cargo test --locked --workspace

# What the property tests find when they do not try the same cases as always: one line of seed for each round.
properties: prerequisites
	@$(with_env)
	for round in $$(seq $(or $(ROUNDS),10)); do
		seed=$$(od -An -N7 -tu8 /dev/urandom | tr -d ' ')
		echo "PROPTEST_RNG_SEED=$$seed"
		PROPTEST_RNG_SEED=$$seed cargo test --locked --workspace --lib --quiet $(ARGS)
	done

build: prerequisites
	@$(with_env)
	$(call say,building the release binary)
	cargo build --locked --release --bin zcluster

bench:
	@deploy/prerequisites bench
	$(with_env)
	$(call say,building zcluster and its load generator for release)
	cargo build --locked --release --bin zcluster --bin zcluster-bench -p zcluster -p zcluster-bench
	exec cargo run --locked --release --quiet -p zcluster-bench -- compare $(ARGS)

prerequisites:
	@deploy/prerequisites
