#!/usr/bin/env bash
# Runs a command inside of a mesh of its own, which ends with it: API server, istiod, Envoys and pods are plain processes in a
# network namespace, without root and without containers. Exits with 3 where the machine has not what that needs.
# Usage: run.sh COMMAND [ARGUMENT...]      KEEP=1 keeps the logs
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
missing() {
  printf 'stack: %s\n' "$@" >&2
  exit 3
}
for tool in unshare ip mount openssl curl python3; do
  command -v "$tool" >/dev/null || missing "$tool is missing; Debian and Ubuntu: apt install util-linux iproute2 mount openssl curl python3"
done
namespaces=(unshare --map-root-user --net --pid --fork --kill-child --mount --mount-proc)
"${namespaces[@]}" true 2>/dev/null || missing \
  'this machine gives an ordinary user no namespaces of its own' \
  'allow them: sysctl kernel.unprivileged_userns_clone=1 (Debian), kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu)'
BIN=$("$here/build.sh" | tail -n 1) || exit $?
"$root/scripts/kubectl.sh"
mkdir -p "$root/target/stack/run"
RUN=$(mktemp -d "$root/target/stack/run/XXXXXX")
export BIN RUN KUBECTL=$root/target/kubectl/bin/kubectl ENVOY_BIN=${ENVOY_BIN:-$root/target/venv/envoy} KUBECONFIG=$here/kubeconfig.yaml
# A socket's path holds 107 bytes.
[ ${#RUN} -le 70 ] || missing "the path of this checkout is too long for sockets: $RUN"
code=0
"${namespaces[@]}" "$here/up.sh" "$@" || code=$?
if [ "${KEEP:-}" = 1 ]; then
  echo "stack: logs are in $RUN/log" >&2
else
  rm -rf "$RUN"
fi
exit "$code"
