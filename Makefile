# Everything about building and testing, with its set-up. `make help` lists it.

# Cargo builds into CARGO_TARGET_DIR; what people and tests use is copied to ./target, whatever that
# is. Here it is made absolute, because cargo also runs for other workspaces.
override CARGO_TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
override CARGO_TARGET_DIR := $(if \
	$(filter /%,$(firstword $(CARGO_TARGET_DIR))),,$(CURDIR)/)$(CARGO_TARGET_DIR)
export CARGO_TARGET_DIR

# Examples and test guests are workspaces of their own; their native builds share a directory.
NATIVE := env CARGO_TARGET_DIR="$(CARGO_TARGET_DIR)/examples-native" cargo
# The host that tests in other languages serve with.
SERVED := env TIDEGATE="$(CARGO_TARGET_DIR)/debug/tidegate-under-test"
STEP := @scripts/timed-step

.DEFAULT_GOAL := help
# Steps run one after the other, even with -j: cargo uses all cores by itself, and a red step stops
# the rest.
.NOTPARALLEL:
.PHONY: help demo dist build check-hour examples test unit lint docs fmt bench bench-capabilities bench-fetches bench-groups bench-paired bench-peers bench-python bench-redis \
	findings setup

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup build ## Build the host and the examples, and serve them on 127.0.0.1:8000
	$(STEP) "build the examples" scripts/build-guests examples
	@exec scripts/demo

dist: setup ## Make what a release consists of, target/dist: packages of the host in release
	$(STEP) "dist" scripts/dist

build: ## Build the host in release: target/release/tidegate
	$(STEP) "build the host" cargo build --locked --release --package tidegate
	@scripts/install-if-changed "$(CARGO_TARGET_DIR)/release/tidegate" target/release/tidegate

examples: setup ## Build the examples, target/examples/NAME.wasm, and the guests of the tests
	$(STEP) "build the examples" scripts/build-guests examples
	$(STEP) "build the test guests" scripts/build-guests tests/guests

test: SETUP := tests
test: setup lint docs unit ## Check everything: format, clippy, docs, all tests, the browser too

unit: examples ## Run the tests alone (`scripts/setup tests` installs what they run)
	$(STEP) "build the tests" scripts/run-tests --no-run
	$(STEP) "build the former release" scripts/build-release-of 1afa517
	$(STEP) "test" scripts/run-tests
	$(STEP) "test the documentation of the SDK" cargo test --locked --doc --package tidegate-sdk
	$(STEP) "test the examples natively" \
		$(NATIVE) test --locked --manifest-path examples/Cargo.toml --workspace
	$(STEP) "test the JavaScript client" scripts/test-client-js
	$(STEP) "test the JavaScript SDK" $(SERVED) scripts/test-sdk-javascript
	$(STEP) "test the Python package" $(SERVED) scripts/test-client-python
	$(STEP) "test the Python SDK" $(SERVED) scripts/test-sdk-python

check-hour: SETUP := tests
check-hour: setup examples ## Check for an hour that no moment of a schedule and no message of a group is missed or doubled
	$(STEP) "schedules and groups for an hour" env TIDEGATE_CHECK_SECONDS=3600 cargo nextest run --locked --profile hour \
		--package tests --test it -E 'test(while_three_processes_are_killed_in_turn) or test(clients_that_come_and_go)'

lint: ## Check the format, and run clippy
	$(STEP) "format" scripts/format --check
	$(STEP) "clippy" cargo clippy --locked --workspace --all-targets --features tidegate/fuzzing \
		-- -D warnings
	$(STEP) "clippy on the examples" $(NATIVE) clippy --locked \
		--manifest-path examples/Cargo.toml --workspace --all-targets -- -D warnings
	$(STEP) "clippy on the test guests" $(NATIVE) clippy --locked \
		--manifest-path tests/guests/Cargo.toml --workspace --all-targets -- -D warnings
	$(STEP) "clippy on the fuzz targets" cargo clippy --locked --no-default-features \
		--manifest-path fuzz/Cargo.toml --all-targets -- -D warnings

docs: ## Build the documentation of the crates, without warnings
	$(STEP) "docs" env RUSTDOCFLAGS=-Dwarnings cargo doc --locked --workspace --no-deps

fmt: ## Format everything
	@scripts/format

bench: examples ## Run the benchmarks
	$(STEP) "benchmarks of the host" cargo bench --locked --package tidegate
	$(STEP) "benchmarks of the whole" cargo bench --locked --package tests \
		--bench end_to_end --bench idle

bench-fetches: examples ## Run the benchmarks of requests to servers outside
	$(STEP) "benchmarks of requests to servers outside" cargo bench --locked --package tests --bench fetches

bench-capabilities: examples ## Run each capability beside a consumer or a group without it
	$(STEP) "benchmarks of capabilities" cargo bench --locked --package tests --bench capabilities

bench-groups: SETUP := tests
bench-groups: examples ## Run the benchmarks of clients that are lost and come back, and of members of groups
	$(STEP) "benchmarks of groups" cargo bench --locked --package tests --bench groups

bench-redis: examples ## Run the benchmarks of the layer on Redis
	$(STEP) "benchmarks over Redis" cargo bench --locked --package tests --bench redis

bench-paired: examples ## Run this build beside an earlier one: make bench-paired BEFORE=FILE
	$(STEP) "benchmarks beside an earlier build" env BEFORE="$(abspath $(BEFORE))" \
		cargo bench --locked --package tests --bench paired

bench-peers: SETUP := tests
bench-peers: examples ## Run this build beside other servers: wasmtime serve, Channels, uvicorn, ws, nchan
	$(STEP) "build the peers" scripts/build-peers
	$(STEP) "benchmarks beside peers" cargo bench --locked --package tests --bench peers

bench-python: examples build ## Run the Channels layer of clients/python beside that of channels_redis
	@cd clients/python/benchmarks && for file in layers.py broadcast.py; do \
		TIDEGATE="$(CARGO_TARGET_DIR)/release/tidegate" \
			"$(CARGO_TARGET_DIR)/client-python/bin/python" -B "$$file" || exit; \
	done

findings: ## Run what was found about other tools (needs the network; no part of test)
	@status=0; for finding in findings/*.sh; do \
		scripts/timed-step "$${finding##*/}" "$$finding" || status=1; \
	done; exit $$status

setup:
	$(STEP) "set-up" scripts/setup $(SETUP)
