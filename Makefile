# The commands of this repository. They need Rust (rustup), Python 3 and a C linker, and install everything else into target/.
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

VERSION := $(shell sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
# What is built and tested without kube and with nothing that runs beside it.
PURE := serin-config serin-release serin-mesh serin-console serin-filter serin-module serin-tests

.PHONY: help quick toolchain envoy build demo test test-envoys test-long check check-long deny advisories sbom chart image mesh stack bench \
	bench-analysis bench-cluster bench-engine bench-rollback plugin fuzz golden clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

quick: toolchain ## test engine, releases, mesh, filter and corpus; under a minute once built
	cargo test --locked --no-default-features $(PURE:%=-p %) -- \
		--skip two_folders_give_the_same_bytes --skip a_large_change_is_read_in_pieces \
		--skip forty_thousand_releases_are_inflated_in_pieces_beside_requests

toolchain: ## install the pinned Rust, if it is missing
	@scripts/toolchain.sh

envoy: toolchain ## install the pinned Envoy, if it is missing
	@$(or $(INSTALL),test -x "$$ENVOY_BIN" || { echo "error: no Envoy at ENVOY_BIN=$$ENVOY_BIN" >&2; exit 1; })

build: toolchain ## build target/debug/serin, with the filter inside
	cargo build --locked -p serin-controller

demo: envoy ## run a canary release in the terminal; KEEP=1 leaves it running
	cargo build --locked -p serin-controller --no-default-features --target-dir target/demo --config demo/build.toml
	@SERIN=target/demo/debug/serin python3 demo/story.py $(if $(KEEP),--keep)

stack: ## build the programs of a real mesh, if they are missing; needs Go
	@command -v go >/dev/null || echo 'stack: Go is missing; without it the tests of the mesh and of the chart are ignored'
	@! command -v go >/dev/null || tests/stack/build.sh >/dev/null

test: envoy build stack ## run all tests, on a real Envoy and, with Go, on a real mesh
	@scripts/timed.py 'cargo test --workspace --locked --no-fail-fast' scripts/test-envoys.sh

test-envoys: build ## test the data path on each older Envoy of tests/versions.env
	@scripts/timed.py scripts/test-envoys.sh

test-long: build ## run the longest tests: standalone on the older Envoys, a hostile tenant for ten minutes, an API server that is away, long histories, fuzz targets
	@HOSTILE_SECONDS=600 scripts/timed.py 'scripts/test-envoys.sh --all' \
		'cargo test --locked -p serin-tests --test cluster -- hostile::' \
		'cargo test --locked -p serin-tests --test cluster -- faults::the_api_server_is_away' \
		'LIFECYCLE_WALKS=1000 cargo test --locked -p serin-release --test lifecycle' '$(MAKE) --no-print-directory fuzz'

mesh: envoy build ## start a whole mesh on this machine, and a shell in it; needs Go
	@tests/stack/run.sh tests/stack/mesh.sh

bench: envoy ## measure the filter in a real Envoy beside its alternatives; Linux; ARGS=--help
	@cargo run --release --locked -p serin-bench-envoy -- $(ARGS)

bench-cluster: envoy ## measure the controller and istiod with 1 000 releases; needs Go
	@tests/stack/run.sh --check
	cd tests/stack && go build -trimpath -o $(CURDIR)/target/stack/sidecars ./sidecars
	cargo build --locked --release -p serin-controller
	cargo build --locked -p serin-tests --bin bench_cluster
	@SERIN=$(CURDIR)/target/release/serin SIDECARS=$(CURDIR)/target/stack/sidecars tests/stack/run.sh target/debug/bench_cluster

bench-rollback: envoy ## measure the time from a rollback to the first request on stable; needs Go
	@tests/stack/run.sh --check
	cargo build --locked --release -p serin-controller
	cargo build --locked -p serin-tests --bin bench_rollback
	@SERIN=$(CURDIR)/target/release/serin tests/stack/run.sh target/debug/bench_rollback

bench-engine: toolchain ## measure a decision beside Unleash's engine; counts need valgrind
	cargo bench --locked -p serin-bench-engine --bench engine
	cargo bench --locked -p serin-bench-engine --bench report -- --save $(CURDIR)/docs/bench-engine.json

bench-analysis: toolchain ## simulate how often an analysis blames a good canary and how soon it finds a bad one; ARGS=--save
	@cargo run --release --locked -p serin-bench-analysis -- $(ARGS)

chart: ## check deploy/ and its Helm chart, without a cluster; needs Go
	@tests/helm/check.sh

image: ## build the images of the controller and of the filter; needs Docker
	docker build -f deploy/Dockerfile -t serin:$(VERSION) .
	docker build --provenance=false --platform linux/amd64 -f deploy/Dockerfile.filter -t serin-filter:$(VERSION) .

check: toolchain ## check format, lints and doc comments
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --workspace --exclude serin-tests --lib --bins --locked -- -D warnings -W clippy::too_many_lines
	cargo clippy --no-default-features $(PURE:%=-p %) --all-targets --locked -- -D warnings
	cargo clippy -p serin-controller --no-default-features --lib --bins --locked -- -D warnings
	cargo clippy -p serin-filter --target wasm32-unknown-unknown --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

# The tools of a release, installed once for each version.
DENY := target/tools/cargo-deny-0.20.2/bin/cargo-deny
CYCLONEDX := target/tools/cargo-cyclonedx-0.5.9/bin/cargo-cyclonedx

$(DENY) $(CYCLONEDX): | toolchain
	cargo install --locked --root $(patsubst %/bin/,%,$(dir $@)) $(notdir $@)@$(patsubst $(notdir $@)-%,%,$(notdir $(patsubst %/bin/,%,$(dir $@))))

deny: $(DENY) ## check licences, packages and sources with cargo-deny; its build takes minutes
	$(DENY) --offline --workspace check licenses bans sources

advisories: $(DENY) ## check dependencies for known vulnerabilities; fetches the RustSec database
	@$(DENY) --workspace check advisories || { echo 'error: either what is above is vulnerable, or the RustSec database cannot be fetched here' >&2; exit 1; }

check-long: check deny ## run check and deny

sbom: $(CYCLONEDX) ## write the SBOM of the command and the filter (CycloneDX) into target/sbom/
	@scripts/sbom.sh $(CYCLONEDX)

plugin: toolchain ## build the plugin of kubectl, static, with krew's manifest; URL= says from where it will be fetched
	@scripts/plugin.sh "$(URL)"

fuzz: toolchain ## run each fuzz target for a minute, or for SECONDS=
	BOLERO_RANDOM_TEST_TIME_MS=$(or $(SECONDS),60)000 cargo test --locked -p serin-tests --test fuzz

golden: build ## write the generated files, docs/reference among them
	SERIN_BLESS=1 cargo test --locked -p serin-tests --test artefact --test schema
	SERIN_BLESS=1 cargo test --locked -p serin-console --tests

clean: ## remove everything that was built or installed
	cargo clean
	rm -rf target
