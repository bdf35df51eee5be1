#!/usr/bin/env bash
# Builds the programs of a real mesh from the Go modules that go.mod and go.sum pin, once for each content of these files.
# Usage: tests/stack/build.sh; the last line on stdout is the folder that holds the programs.
set -euo pipefail
cd "$(dirname "$0")"
target=$(cd ../.. && pwd)/target/stack
command -v go >/dev/null || { echo "stack: Go is missing; install Go 1.26 or newer" >&2; exit 3; }

kubernetes=v1.36.3
programs=(
  etcd=go.etcd.io/etcd/server/v3
  kube-scheduler=k8s.io/kubernetes/cmd/kube-scheduler
  kube-controller-manager=k8s.io/kubernetes/cmd/kube-controller-manager
  kube-apiserver=k8s.io/kubernetes/cmd/kube-apiserver
  kwok=sigs.k8s.io/kwok/cmd/kwok
  pilot-discovery=istio.io/istio/pilot/cmd/pilot-discovery
  pilot-agent=istio.io/istio/pilot/cmd/pilot-agent
)

key=$( (cat go.mod go.sum prometheus/go.mod prometheus/go.sum build.sh; go env GOVERSION GOOS GOARCH) | sha256sum | cut -c1-16)
bin=$target/$key
mkdir -p "$bin"
number=0
for program in "${programs[@]}"; do
  number=$((number + 1))
  name=${program%%=*} package=${program#*=}
  [ -x "$bin/$name" ] && continue
  echo "stack: building $name ($number of ${#programs[@]}) from $package" >&2
  # Clients refuse an API server whose version they cannot parse: it is linked in.
  go build -trimpath -o "$bin/.$name" -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$kubernetes" "$package"
  mv "$bin/.$name" "$bin/$name"
done

# Prometheus asks for other versions of what Kubernetes and Istio are built from.
if [ ! -x "$bin/prometheus" ]; then
  echo "stack: building prometheus" >&2
  go build -C prometheus -trimpath -o "$bin/.prometheus" -tags netgo,remove_all_sd,slicelabels -ldflags '-s -w' \
    github.com/prometheus/prometheus/cmd/prometheus
  mv "$bin/.prometheus" "$bin/prometheus"
fi

# What these programs need beside them comes from the same modules.
istio=$(go list -m -f '{{.Dir}}' istio.io/istio)
kwok=$(go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)
install -m 644 "$istio/manifests/charts/base/files/crd-all.gen.yaml" "$bin/istio-crds.yaml"
for stage in "$kwok"/kustomize/stage/node/fast/node-*.yaml "$kwok"/kustomize/stage/pod/fast/pod-*.yaml; do
  echo '---'
  cat "$stage"
done > "$bin/kwok-stages.yaml"
find "$target" -mindepth 1 -maxdepth 1 -type d ! -name "$key" ! -name run -exec rm -rf {} +
echo "$bin"
