# The processes of the mesh: how each is started, stopped and waited for. Sourced by up.sh and ctl.sh, inside of the namespace.
# BIN, ENVOY_BIN, KUBECTL: the programs; RUN: the folder for data, logs and process ids.
: "${BIN:?}" "${ENVOY_BIN:?}" "${KUBECTL:?}" "${RUN:?}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export KUBECONFIG=$here/kubeconfig.yaml
# The domain of the cluster, in which the hosts of Services are.
DOMAIN=${MESH_DOMAIN:-cluster.local}
# Seconds that a process may take to be ready, to end by itself, and to end once it is killed. Machines are busy.
READY=120 GRACE=15 KILLED=60

# Starts a program in the background under a name; its log is kept over restarts.
launch() {
  local name=$1
  shift
  "$@" >>"$RUN/log/$name" 2>&1 </dev/null &
  echo $! >"$RUN/pid/$name"
  # Its end is nobody's news.
  disown
}

# Whether anything of a process is left: its other threads may outlive the first one, a zombie by then, and still hold ports and files.
runs() {
  local pid
  pid=$(cat "$RUN/pid/$1" 2>/dev/null) && [ -d "/proc/$pid" ] || return 1
  ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null || [ "$(ls "/proc/$pid/task" 2>/dev/null | wc -l)" -gt 1 ]
}

# Waits until a command succeeds; says what a process logged where it does not.
await() {
  local name=$1 deadline=$((SECONDS + READY))
  shift
  until "$@" >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$deadline" ] || ! runs "$name"; then
      printf 'stack: %s %s; its log ends with:\n' "$name" "$(runs "$name" && echo "is not ready after $READY s" || echo 'has ended')" >&2
      tail -n 20 "$RUN/log/$name" >&2
      return 1
    fi
    sleep 0.1
  done
}

run_etcd() {
  launch etcd "$BIN/etcd" --data-dir "$RUN/etcd" --unsafe-no-fsync --logger zap --log-level warn \
    --listen-client-urls http://127.0.0.1:12379 --advertise-client-urls http://127.0.0.1:12379 \
    --listen-peer-urls http://127.0.0.1:12380 --initial-advertise-peer-urls http://127.0.0.1:12380 \
    --initial-cluster default=http://127.0.0.1:12380
  await etcd curl -sf --max-time 5 http://127.0.0.1:12379/health
}

# With shutdown-send-retry-after it stops within seconds, else only when all watches have ended.
run_kube_apiserver() {
  launch kube-apiserver "$BIN/kube-apiserver" --etcd-servers=http://127.0.0.1:12379 --cert-dir="$RUN/certs" \
    --secure-port=16443 --bind-address=127.0.0.1 --advertise-address=127.0.0.1 --endpoint-reconciler-type=none \
    --authorization-mode=RBAC --token-auth-file="$RUN/certs/tokens.csv" \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$RUN/certs/sa.key" \
    --service-account-signing-key-file="$RUN/certs/sa.key" --disable-admission-plugins=ServiceAccount \
    --service-cluster-ip-range=10.96.0.0/16 --max-requests-inflight=2000 --max-mutating-requests-inflight=1000 \
    --shutdown-send-retry-after --audit-policy-file="$here/audit.yaml" --audit-log-path="$RUN/log/audit" --audit-log-mode=blocking
  await kube-apiserver "$KUBECTL" get --raw /readyz --request-timeout=5s
}

run_kube_controller_manager() {
  launch kube-controller-manager "$BIN/kube-controller-manager" --kubeconfig "$KUBECONFIG" --leader-elect=false --secure-port=0 \
    --kube-api-qps=500 --kube-api-burst=1000 --concurrent-deployment-syncs=10 --concurrent-replicaset-syncs=10 \
    --service-account-private-key-file="$RUN/certs/sa.key" \
    --horizontal-pod-autoscaler-sync-period=2s \
    --controllers=deployment-controller,replicaset-controller,horizontal-pod-autoscaler-controller,endpointslice-controller,garbage-collector-controller,namespace-controller,serviceaccount-controller,clusterrole-aggregation-controller
}

run_kube_scheduler() {
  launch kube-scheduler "$BIN/kube-scheduler" --kubeconfig "$KUBECONFIG" --leader-elect=false --secure-port=0
}

run_kwok() {
  launch kwok "$BIN/kwok" --kubeconfig "$KUBECONFIG" --manage-all-nodes --cidr 10.244.0.0/16 --config "$BIN/kwok-stages.yaml"
}

run_istiod() {
  launch istiod env POD_NAMESPACE=istio-system POD_NAME=istiod-0 CLUSTER_ID=Kubernetes \
    ENABLE_CA_SERVER=false PILOT_CERT_PROVIDER=none XDS_AUTH=false INJECT_ENABLED=false \
    VALIDATION_WEBHOOK_CONFIG_NAME= INJECTION_WEBHOOK_CONFIG_NAME= \
    PILOT_ENABLE_ALPN_FILTER=false PILOT_ENABLE_METADATA_EXCHANGE=false PILOT_ENABLE_GATEWAY_API=false \
    PILOT_DEBOUNCE_AFTER=20ms ENABLE_DEBUG_ENDPOINT_AUTH=false \
    "$BIN/pilot-discovery" discovery --kubeconfig "$KUBECONFIG" --meshConfig "$here/mesh.yaml" --domain "$DOMAIN" \
    --grpcAddr 127.0.0.1:15010 --secureGRPCAddr "" --httpAddr 127.0.0.1:18090 --httpsAddr "" \
    --monitoringAddr 127.0.0.1:15014 --ctrlz_port 0
  await istiod curl -sf --max-time 5 http://127.0.0.1:18090/ready
}

run_pods() {
  launch pods python3 "$here/pods.py" "$KUBECTL" --kubeconfig "$KUBECONFIG"
  await pods curl -sf --max-time 5 http://127.0.0.1:8000/
}

# Runs a program with a folder of its own for Istio's downloads, whose place is fixed: what the containers of a pod share.
launch_in_pod() {
  local name=$1 root=$2
  shift 2
  launch "$name" unshare --mount bash -c 'mount --bind "$1/data" /var/lib/istio/data && cd "$1" && shift && exec "$@"' pod "$root" "$@"
}

# Istio's agent stands between istiod and an Envoy, as in a real pod: it downloads the filter, checks its digest and caches it.
run_agent() {
  local name=$1 type=$2 status_port=$3 root=$RUN/$1
  mkdir -p "$root/etc/istio/proxy" "$root/data"
  rm -f "$root/etc/istio/proxy/XDS"
  launch_in_pod "$name-agent" "$root" env DISABLE_ENVOY=true POD_NAME="$name-0" POD_NAMESPACE=shop INSTANCE_IP=127.0.0.1 ISTIO_META_CLUSTER_ID=Kubernetes \
    PROXY_CONFIG='{"discoveryAddress":"127.0.0.1:15010","controlPlaneAuthPolicy":"NONE","proxyMetadata":{},"statusPort":'"$status_port"'}' \
    CA_ADDR=127.0.0.1:15010 FILE_MOUNTED_CERTS=false PILOT_CERT_PROVIDER=none XDS_AUTH_PROVIDER= JWT_POLICY=none \
    "$BIN/pilot-agent" proxy "$type" --domain "shop.svc.$DOMAIN"
  await "$name-agent" test -S "$root/etc/istio/proxy/XDS"
}

run_envoy() {
  local name=$1 type=$2 admin=$3 labels=$4 root=$RUN/$1
  sed -e "s|NODE_TYPE|$type|; s|POD|$name-0|; s|APP|$name|; s|CLUSTER_DOMAIN|$DOMAIN|; s|NODE_LABELS|$labels|; s|ADMIN_PORT|$admin|; s|XDS_SOCKET|$root/etc/istio/proxy/XDS|" \
    "$here/envoy.yaml" >"$root/envoy.yaml"
  launch_in_pod "$name" "$root" "$ENVOY_BIN" -c "$root/envoy.yaml" --concurrency 2 --disable-hot-restart --log-level warning
  await "$name" curl -sf --max-time 5 "http://127.0.0.1:$admin/ready"
}

# Not a part of every mesh: who needs it starts it.
run_prometheus() {
  launch prometheus "$BIN/prometheus" --config.file "$here/prometheus.yaml" --storage.tsdb.path "$RUN/prometheus" \
    --web.listen-address 127.0.0.1:19090 --log.level warn
  await prometheus curl -sf --max-time 5 http://127.0.0.1:19090/-/ready
}

run_client_agent() { run_agent client sidecar 15020; }
run_client() { run_envoy client sidecar 15000 '{app: client}'; }
run_gateway_agent() { run_agent gateway router 15021; }
run_gateway() { run_envoy gateway router 15001 '{istio: ingressgateway}'; }

# Starts a process and waits for it, where it serves something; does nothing where it runs.
start() {
  runs "$1" || "run_${1//-/_}"
}

# Waits so many seconds for the end of a process.
ends() {
  local name=$1 deadline=$((SECONDS + $2))
  while runs "$name"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.05
  done
}

# Ends a process and waits until it has ended. What takes too long is killed, which each of them survives: etcd's log is written by then.
stop() {
  local signal=$1 name=$2 pid
  pid=$(cat "$RUN/pid/$name" 2>/dev/null) || return 0
  # It may have ended by itself.
  kill "-$signal" "$pid" 2>/dev/null || true
  if ! ends "$name" "$GRACE"; then
    kill -KILL "$pid" 2>/dev/null || true
    if ! ends "$name" "$KILLED"; then
      echo "stack: $name (process $pid) has not ended $KILLED s after SIGKILL" >&2
      return 1
    fi
  fi
  rm -f "$RUN/pid/$name"
}
