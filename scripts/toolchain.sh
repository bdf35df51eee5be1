#!/bin/sh
# Asks for what a build needs, and installs the toolchain that rust-toolchain.toml names where it is missing.
set -eu
cd "$(dirname "$0")/.."

need() {
    command -v "$1" >/dev/null || {
        echo "error: $1 is missing; $2" >&2
        exit 1
    }
}
need rustup "install Rust with rustup, then open a new shell"
need python3 "install Python 3.9 or newer"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' || {
    echo "error: $(python3 --version) is too old; install Python 3.9 or newer" >&2
    exit 1
}
need cc "a C linker is needed; Debian and Ubuntu: apt install gcc libc6-dev; Fedora: dnf install gcc; macOS: xcode-select --install"

# The words of a key of rust-toolchain.toml, separated by blanks.
words() {
    sed -n "s/^$1 *= *//p" rust-toolchain.toml | tr -d '[]"' | tr ',' ' '
}
channel=$(words channel | tr -d ' ')
targets=$(words targets)
components=$(words components)

# `rustup` itself is asked: with RUSTUP_AUTO_INSTALL=0 cargo installs nothing.
complete() {
    rustup toolchain list | grep -q "^$channel-" || return 1
    installed=$(rustup component list --toolchain "$channel" --installed) || return 1
    for target in $targets; do
        echo "$installed" | grep -q "^rust-std-$target\$" || return 1
    done
    for component in $components; do
        echo "$installed" | grep -q "^$component\(-\|\$\)" || return 1
    done
}
complete && exit 0
echo "Rust $channel is installed with$(printf ' %s' $targets $components)"
set -- --profile minimal --no-self-update
for target in $targets; do set -- "$@" --target "$target"; done
for component in $components; do set -- "$@" --component "$component"; done
exec rustup toolchain install "$channel" "$@"
