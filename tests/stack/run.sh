#!/usr/bin/env bash
# Runs a command inside of a mesh of its own, which ends with it: API server, istiod, Envoys and pods are plain processes in a
# network namespace, without root and without containers. Exits with 3 where the machine lacks something that this needs.
# Usage: run.sh COMMAND [ARGUMENT...]      KEEP=1 keeps the logs
#        run.sh --check                    looks for what it needs, starts nothing
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
missing() {
  printf 'stack: %s\n' "$@" >&2
  exit 3
}
for tool in unshare setpriv ip mount openssl curl python3; do
  command -v "$tool" >/dev/null || missing "$tool is missing; Debian and Ubuntu: apt install util-linux iproute2 mount openssl curl python3"
done
namespaces=(unshare --map-root-user --net --pid --fork --kill-child --mount --mount-proc)
refusal=$("${namespaces[@]}" true 2>&1) || missing \
  "this machine gives an ordinary user no namespaces of its own; $refusal" \
  'allow them: sysctl kernel.unprivileged_userns_clone=1 (Debian), kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu),' \
  'user.max_user_namespaces=10000 (where it is 0)'
command -v go >/dev/null || missing 'Go is missing; install Go 1.26 or newer'
# A socket's path holds 107 bytes; the folder of a run has a name of six letters.
[ $((${#root} + 24)) -le 70 ] || missing "the path of this checkout is too long for sockets: $root"
[ "${1:-}" = --check ] && exit 0
BIN=$("$here/build.sh" | tail -n 1) || exit $?
"$root/scripts/kubectl.sh"
mkdir -p "$root/target/stack/run"
RUN=$(mktemp -d "$root/target/stack/run/XXXXXX")
export BIN RUN KUBECTL=$root/target/kubectl/bin/kubectl ENVOY_BIN=${ENVOY_BIN:-$root/target/venv/envoy} KUBECONFIG=$here/kubeconfig.yaml
finish() {
  # Whatever ended this script ends the mesh, before its folder goes.
  if [ -f "$RUN/first" ]; then
    kill -KILL "$(cat "$RUN/first")" 2>/dev/null || true
    sleep 0.5
  fi
  if [ "${KEEP:-}" = 1 ]; then
    echo "stack: logs are in $RUN/log" >&2
  else
    rm -rf "$RUN"
  fi
}
trap finish EXIT
[ -x "$ENVOY_BIN" ] || { echo "stack: no Envoy at ENVOY_BIN=$ENVOY_BIN; make envoy" >&2; exit 1; }
code=0
# The mesh ends with this script even where that is killed.
(echo "$BASHPID" >"$RUN/first" && exec setpriv --pdeathsig KILL "${namespaces[@]}" "$here/up.sh" "$@") || code=$?
rm -f "$RUN/first"
exit "$code"
