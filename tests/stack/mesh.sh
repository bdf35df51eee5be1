#!/usr/bin/env bash
# A mesh to play with, from inside of it: Bookinfo, the controller, and a shell. `make mesh` runs it; all of it ends with the shell.
# Usage: mesh.sh [COMMAND ARGUMENT...]      SERIN names the command
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
: "${SERIN:=$root/target/debug/serin}" "${KUBECTL:?run it by make mesh}" "${RUN:?}"
bold='' plain=''
if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); fi
say() { printf 'mesh: %s\n' "$*" >&2; }
tools=$RUN/bin
mkdir -p "$tools"
ln -s "$KUBECTL" "$tools/kubectl"
ln -s "$(realpath "$SERIN")" "$tools/serin"
export PATH=$tools:$PATH

say 'Bookinfo'
kubectl apply --server-side -f "$here/bookinfo.yaml" >/dev/null
say 'Serin: definition and controller'
serin crd | kubectl apply --server-side -f - >/dev/null
kubectl wait --for=condition=established crd/canaryreleases.serin.dev crd/canarycontrols.serin.dev --timeout=60s >/dev/null
kubectl create namespace serin-system >/dev/null
serin controller --listen 127.0.0.1:18085 --serve-url http://127.0.0.1:18085 --log-level info,kube_client=error >"$RUN/log/serin" 2>&1 &
controller=$!
until curl -sf -o /dev/null http://127.0.0.1:18085/readyz; do
  kill -0 "$controller" 2>/dev/null && [ "$SECONDS" -lt 60 ] || { tail -n 20 "$RUN/log/serin" >&2; exit 1; }
  sleep 0.1
done
for deployment in productpage-v1 details-v1 ratings-v1 reviews-v1 reviews-v2; do
  kubectl rollout status -n bookinfo "deployment/$deployment" --timeout=60s >/dev/null
done
if [ $# -gt 0 ]; then
  "$@"
  exit
fi
cat <<TEXT

${bold}A mesh of your own.${plain} It ends with this shell. Logs are in $RUN/log.

  ${bold}kubectl get pods -A${plain}                                        what runs
  ${bold}curl -b user=ann -H 'Host: reviews.bookinfo' localhost:9080${plain}  a request, through a sidecar: version and pod

  ${bold}kubectl apply -f $root/examples/reviews.yaml${plain}
  ${bold}for n in \$(seq 100); do curl -s -b user=\$n -H 'Host: reviews.bookinfo' localhost:9080; done | cut -d' ' -f1 | sort | uniq -c${plain}
  ${bold}kubectl patch crel reviews -n bookinfo --type merge -p '{"spec": {"takeover": "v2"}}'${plain}
  ${bold}kubectl get crel -A -o wide${plain}
  ${bold}kubectl describe crel reviews -n bookinfo${plain}
  ${bold}kubectl get crel -A -o yaml | serin explain -f - --header 'cookie: user=7'${plain}

TEXT
PS1='mesh$ ' bash --norc -i || true
