# Adjutant's tasks. `make` alone lists them.

TARGET := $(or $(CARGO_TARGET_DIR),target)
SERVER := $(TARGET)/release/adjutant

.DEFAULT_GOAL := help
.PHONY: help run test lint unit conformance crash-points chaos playground bench bench-search bench-code bench-scale \
	soak clean

# The Playground's page, and what it is built from.
PAGE := playground/dist/index.html
PAGE_SOURCES := $(shell find playground -name node_modules -prune -o -name dist -prune -o -type f -print)
# npm writes it when everything is installed.
PACKAGES := playground/node_modules/.package-lock.json

# scripts/need keeps a newer Node there where this machine's is too old.
NPM := PATH="$(abspath $(TARGET))/node/node_modules/.bin:$$PATH" npm

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

run: $(TARGET)/.ready-to-run ## Build Adjutant and start it: http://127.0.0.1:8080 (options: ARGS="--listen 127.0.0.1:9000")
	@$(MAKE) --no-print-directory $(PAGE) || echo "Starting all the same, without the Playground."
	@cargo build --release --locked --package adjutant --features wasm
	@exec $(SERVER) serve $(ARGS)

# Looked at once, so that a second start takes no time. Only the built-in model and the code interpreter need
# Python, and only the latter needs walls: whoever has another model and runs no code can do without.
$(TARGET)/.ready-to-run: scripts/need
	@scripts/need rust compiler
	@scripts/need python || echo "Starting all the same: only the built-in model and the code interpreter need it."
	@scripts/need walls || echo "Starting all the same: only the code interpreter needs it."
	@mkdir -p $(TARGET) && touch $@

playground: $(PAGE) ## Build the Playground, where its sources changed

# cargo does not see that a folder has come to be, so it is told by the source that embeds it.
$(PAGE): $(PACKAGES) $(PAGE_SOURCES)
	@echo "Building the Playground …"
	@$(NPM) run --prefix playground --silent build -- --logLevel warn
	@touch $@ crates/server/src/http/playground.rs

$(PACKAGES): playground/package.json playground/package-lock.json
	@scripts/need node
	@echo "Installing what the Playground is built with …"
	@$(NPM) ci --prefix playground --no-audit --no-fund --loglevel error
	@touch $@

test: lint unit conformance ## Run every check and test

lint: $(PACKAGES) ## Check formatting and lints
	@scripts/need rust compiler fmt clippy
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features adjutant/wasm --locked -- --deny warnings
	cargo clippy --package adjutant --locked -- --deny warnings
	$(NPM) run --prefix playground check

unit: $(PACKAGES) ## Run the tests of the Rust code, and of the Playground's
	@scripts/need rust compiler python walls
	@if cargo nextest --version >/dev/null 2>&1; then \
		set -x; cargo nextest run --workspace --features adjutant/wasm --locked; \
	else \
		set -x; cargo test --workspace --features adjutant/wasm --locked; \
	fi
	$(NPM) test --prefix playground

conformance: $(PAGE) ## Run the official SDKs, recorded traffic and a browser against a live server
	@scripts/need rust compiler python walls node chromium
	cargo build --locked --package adjutant --package s3-for-tests --features adjutant/wasm
	ADJUTANT_BIN=$(abspath $(TARGET)/debug/adjutant) conformance/run $(ARGS)

crash-points: ## Have a server die at every commit and outside call of a run, one after the other (options: ARGS="-k function")
	@scripts/need rust compiler python walls
	cargo build --locked --package adjutant --package s3-for-tests --features adjutant/wasm
	ADJUTANT_BIN=$(abspath $(TARGET)/debug/adjutant) ADJUTANT_TEST_CRASH_POINTS=all conformance/run --sdk new tests/test_crash_points.py $(ARGS)

chaos: ## Break three copies, their database and bucket under load, and look for what was lost (options: ARGS="--seed 7")
	@scripts/need rust compiler python
	cargo build --locked --package adjutant --package s3-for-tests --features adjutant/wasm
	ADJUTANT_BIN=$(abspath $(TARGET)/debug/adjutant) conformance/run --chaos $(ARGS)

bench: ## Measure what Adjutant adds to a model's answer (options: DATABASE_URL=postgres://…, ARGS="--only long-threads")
	@scripts/need rust compiler
	@cargo build --release --locked --package adjutant --package adjutant-bench
	@$(TARGET)/release/adjutant-bench $(if $(DATABASE_URL),--database-url '$(DATABASE_URL)') $(ARGS)

bench-search: ## Measure searching, beside peers: quality, taking in, speed (Debian's documentation; ARGS="en ko ja")
	@scripts/need rust compiler python
	@cargo build --release --locked --package adjutant
	@bench/search/run $(SERVER) $(ARGS)

bench-code: ## Measure the code interpreter's sessions beside plain Python and Jupyter (options: ARGS=SESSIONS, else 100)
	@scripts/need rust compiler python walls
	@cargo build --release --locked --package adjutant-sandbox --features wasm --bin adjutant-python --example measure
	@bench/code/run $(ARGS)

bench-scale: ## Measure what runs and copies cost PostgreSQL, and how many runs it takes (options: ARGS="RUNS SECONDS")
	@scripts/need rust compiler python
	@cargo build --release --locked --package adjutant
	@bench/scale/run $(SERVER) $(ARGS)

soak: ## Hold idle streams open, beside a bare relay: 9,500 with their runs; with DATABASE_URL=postgres://… 10,000 whose runs another process works on
	@scripts/need rust compiler
	@cargo build --release --locked --package adjutant --package adjutant-bench
	@$(TARGET)/release/adjutant-bench --only streams --streams 9500 $(ARGS)
	@$(if $(DATABASE_URL),$(TARGET)/release/adjutant-bench --only streams --streams 10000 --split --database-url '$(DATABASE_URL)' $(ARGS))

clean: ## Remove what was built (never the data folder)
	cargo clean
