#!/bin/sh
# Writes a version of Serin into every file that holds it; tests/tests/workspace.rs finds one that was forgotten.
# Usage: version.sh X.Y.Z
set -eu
cd "$(dirname "$0")/.."
new=${1:-}
echo "$new" | grep -Eqx '[0-9]+\.[0-9]+\.[0-9]+' || {
    echo 'error: the version is not X.Y.Z; usage: scripts/version.sh X.Y.Z' >&2
    exit 2
}
old=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
# write FILE EXPRESSION...: by way of another file, since sed -i is not the same everywhere.
write() {
    file=$1
    shift
    sed -E "$@" "$file" >"$file.new"
    cat "$file.new" >"$file"
    rm "$file.new"
}
escaped=$(echo "$old" | sed 's/\./\\./g')
write Cargo.toml -e "/^\[workspace.package\]/,/^\[/s/^version = \"$escaped\"/version = \"$new\"/"
write deploy/helm/serin/Chart.yaml -e "s/^(version|appVersion): $escaped$/\1: $new/"
for file in deploy/deployment.yaml deploy/README.md deploy/Dockerfile deploy/Dockerfile.filter; do
    write "$file" -e "s/(serin|serin-filter):$escaped/\1:$new/g" -e "s/newTag: $escaped/newTag: $new/g"
done
# The lock file has the version of each member.
cargo update --workspace --offline --quiet
echo "$old -> $new"
