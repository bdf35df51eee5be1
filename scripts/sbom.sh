#!/bin/sh
# Writes what the command and the filter are made of, as CycloneDX, into target/sbom/.
# Usage: sbom.sh CARGO-CYCLONEDX
set -eu
cd "$(dirname "$0")/.."
tool=$PWD/$1
out=target/sbom
mkdir -p "$out"
# The time of the commit, so that the same sources give the same document.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

# The tool writes beside each member of the workspace, under a name that nothing else has.
name=serin-sbom-$$
clean() { find . -name "$name.json" -not -path './target/*' -exec rm -f {} +; }
trap clean EXIT

# sbom MEMBER TARGET FILE
sbom() {
    "$tool" cyclonedx -q --manifest-path "$1/Cargo.toml" --format json --spec-version 1.5 --target "$2" --no-build-deps \
        --override-filename "$name"
    mv "$1/$name.json" "$out/$3"
    clean
}
sbom controller x86_64-unknown-linux-gnu serin.cdx.json
sbom filter wasm32-unknown-unknown serin-filter.cdx.json
ls "$out"
