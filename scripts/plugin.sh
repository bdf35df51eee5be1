#!/bin/sh
# Builds the command as a static plugin of kubectl: target/plugin/kubectl-serin-linux-ARCH.tar.gz, and the manifest by which krew installs it.
# Usage: plugin.sh URL, the folder from which the archive of a release will be fetched; plugin.sh --manifest URL SHA256 ARCH prints the manifest alone.
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)

# manifest URL SHA256 ARCH
manifest() {
    cat <<END
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: serin
spec:
  version: v$version
  homepage: $1
  shortDescription: Sticky canary releases for Istio and Envoy
  description: |
    Create, watch, approve, take over, roll back and explain CanaryReleases:
    canary releases in which each user keeps the version that they have.
  caveats: |
    The controller of Serin has to run in the cluster. For names to be
    completed, copy kubectl_complete-serin from the plugin's folder to the PATH.
  platforms:
  - selector:
      matchLabels:
        os: linux
        arch: $3
    uri: $1/kubectl-serin-linux-$3.tar.gz
    sha256: "$2"
    bin: kubectl-serin
    files:
    - from: kubectl-serin
      to: .
    - from: kubectl_complete-serin
      to: .
    - from: LICENSE
      to: .
END
}
if [ "${1:-}" = --manifest ]; then
    manifest "$2" "$3" "$4"
    exit
fi
url=${1:?the URL of the folder from which the archive of this release will be fetched is missing, such as make plugin URL=https://example.com/v1}

case $(uname -sm) in
'Linux x86_64') arch=amd64 target=x86_64-unknown-linux-musl ;;
'Linux aarch64') arch=arm64 target=aarch64-unknown-linux-musl ;;
*)
    echo "error: the plugin is built on Linux, x86_64 or aarch64" >&2
    exit 1
    ;;
esac
rustup target add --toolchain "$(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml)" "$target"
# What C there is asks for no C library, so that the system's compiler does for another one.
env "CC_$(echo "$target" | tr - _)=cc" cargo build --release --locked -p serin-controller --target "$target"

out=target/plugin
rm -rf "$out"
mkdir -p "$out/files"
install -m 755 "target/$target/release/serin" "$out/files/kubectl-serin"
install -m 755 deploy/krew/kubectl_complete-serin "$out/files/"
install -m 644 LICENSE "$out/files/"
if ldd "$out/files/kubectl-serin" 2>/dev/null | grep -q '=>'; then
    echo "error: the plugin needs libraries of this machine: $(ldd "$out/files/kubectl-serin")" >&2
    exit 1
fi
"$out/files/kubectl-serin" --version
# The same bytes from the same sources: names in order, nobody's account, the time of the commit.
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" -C "$out/files" -cf - . | gzip -n9 > "$out/kubectl-serin-linux-$arch.tar.gz"
sha256=$(sha256sum "$out/kubectl-serin-linux-$arch.tar.gz" | cut -d' ' -f1)
manifest "$url" "$sha256" "$arch" > "$out/serin.yaml"
ls -l "$out" | awk 'NR > 1 {print $5, $9}'
