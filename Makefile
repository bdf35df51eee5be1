# What one does with this repository. With Rust (rustup), Python 3 and a C linker everything else is installed into target/.
CARGO_BIN := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin
export PATH := $(CARGO_BIN):$(PATH)
# With an Envoy of your own: make ENVOY_BIN=/path/to/envoy ...
ifdef ENVOY_BIN
override ENVOY_BIN := $(abspath $(ENVOY_BIN))
else
ENVOY_BIN := $(CURDIR)/target/venv/envoy
INSTALL := scripts/envoy.sh
endif
export ENVOY_BIN

.PHONY: help toolchain envoy build demo test check fuzz golden clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

toolchain: ## install the pinned Rust, if it is missing
	@scripts/toolchain.sh

envoy: toolchain ## install the pinned Envoy, if it is missing
	@$(or $(INSTALL),test -x "$$ENVOY_BIN" || { echo "error: no Envoy at ENVOY_BIN=$$ENVOY_BIN" >&2; exit 1; })

build: toolchain ## build target/debug/serin, with the filter inside
	cargo build --locked

demo: envoy build ## tell the story in the terminal; KEEP=1 leaves it running
	@python3 demo/story.py $(if $(KEEP),--keep)

test: envoy build ## run all tests, on the real filter and a real Envoy
	cargo test --workspace --locked

check: toolchain ## format, lints and documentation
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

fuzz: toolchain ## run each fuzz target for a minute
	BOLERO_RANDOM_TEST_TIME_MS=60000 cargo test --locked -p serin-tests --test fuzz

golden: build ## write the golden files anew
	SERIN_BLESS=1 cargo test --locked -p serin-tests --test artefact --test schema

clean: ## remove all that was built and installed
	cargo clean
	rm -rf target
