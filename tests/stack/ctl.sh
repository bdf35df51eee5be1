#!/usr/bin/env bash
# Starts, stops, kills or restarts a process of a running mesh, from inside of it.
# Usage: ctl.sh start|stop|kill|restart NAME
# NAME: etcd kube-apiserver kube-controller-manager kube-scheduler kwok istiod pods client-agent client gateway-agent gateway prometheus
set -euo pipefail
. "$(dirname "$0")/lib.sh"
action=${1:-} name=${2:-}
if ! declare -F "run_${name//-/_}" >/dev/null || [ "$name" = agent ] || [ "$name" = envoy ]; then
  echo "ctl.sh: '$name' is not a process of the mesh; see $0" >&2
  exit 2
fi
# What is started here outlives this script, without its output.
case $action in
start) start "$name" ;;
stop) stop TERM "$name" ;;
kill) stop KILL "$name" ;;
restart)
  stop TERM "$name"
  start "$name"
  ;;
*)
  echo "ctl.sh: '$action' is not known; use start, stop, kill or restart" >&2
  exit 2
  ;;
esac
