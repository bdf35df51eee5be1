#!/usr/bin/env bash
# Brings a whole mesh up inside of namespaces of its own, then runs a command in it; run.sh makes the namespaces.
# Usage: up.sh COMMAND [ARGUMENT...]
set -euo pipefail
mkdir -p "${RUN:?}/certs" "$RUN/log" "$RUN/pid"
. "$(dirname "$0")/lib.sh"
say() { printf 'stack: %s\n' "$*" >&2; }

ip link set lo up
# Every pod address is local to this namespace.
ip route add local 10.244.0.0/16 dev lo
# Istio's agent keeps its downloads at a fixed place, which only root can make: the same /var/lib with one more folder.
mkdir "$RUN/lib"
mount -t tmpfs tmpfs "$RUN/lib"
mkdir -p "$RUN/lib/istio/data"
for folder in /var/lib/*/; do
  folder=$(basename "$folder")
  [ "$folder" = istio ] && continue
  mkdir "$RUN/lib/$folder"
  mount --rbind "/var/lib/$folder" "$RUN/lib/$folder" || true
done
mount -n --move "$RUN/lib" /var/lib

# The resolver of a pod, by which the controller finds the domain of the cluster.
if [ "$DOMAIN" != cluster.local ]; then
  printf 'search shop.svc.%s svc.%s %s\nnameserver 127.0.0.1\n' "$DOMAIN" "$DOMAIN" "$DOMAIN" >"$RUN/resolv.conf"
  mount --bind "$RUN/resolv.conf" /etc/resolv.conf
fi

openssl genrsa -out "$RUN/certs/sa.key" 2048 2>/dev/null
echo 'admintoken,admin,admin,system:masters' >"$RUN/certs/tokens.csv"
say 'etcd and kube-apiserver'
start etcd
start kube-apiserver
say 'kube-controller-manager, kube-scheduler, kwok, istiod'
"$KUBECTL" apply --server-side -f "$BIN/istio-crds.yaml" -f "$here/objects.yaml" >/dev/null
start kube-controller-manager
start kube-scheduler
start kwok
start pods
start istiod
node_is_ready() { "$KUBECTL" get node kwok-0 | grep -q ' Ready'; }
await kwok node_is_ready
# No controller of the life of nodes runs that would take the taint off.
"$KUBECTL" taint nodes kwok-0 node.kubernetes.io/not-ready- >/dev/null 2>&1 || true
say 'a client with its sidecar, a gateway'
for name in client-agent client gateway-agent gateway; do start "$name"; done
touch "$RUN/ready"
say "up after $SECONDS s"
"$@"
