#!/usr/bin/env bash
# Checks the chart without a cluster: lint, rendering, refused values, and that it installs what deploy/ does.
# Usage: tests/helm/check.sh [DEPLOY]; Helm is built from the Go modules that go.mod and go.sum pin, once for each content.
set -euo pipefail
deploy=$(cd "${1:-$(dirname "$0")/../../deploy}" && pwd)
cd "$(dirname "$0")"
target=$(cd ../.. && pwd)/target/helm
chart=$deploy/helm/serin
command -v go >/dev/null || { echo "helm: Go is missing; install Go 1.26 or newer" >&2; exit 3; }
fail() { echo "error: $*" >&2; exit 1; }

# A generated file that is missing would show as an odd error of Helm.
for file in crds/canaryreleases.serin.dev.yaml rbac.yaml helm/serin/crds/canaryreleases.serin.dev.yaml crds/canarycontrols.serin.dev.yaml helm/serin/crds/canarycontrols.serin.dev.yaml helm/serin/files/rules.yaml roles.yaml policy.yaml \
  components/filled-author/policy.yaml components/without-workloads/rbac.yaml helm/serin/files/policy.yaml; do
  [ -f "$deploy/$file" ] || fail "$deploy/$file is missing; it is generated"
done

key=$( (cat go.mod go.sum main.go check.sh; go env GOVERSION GOOS GOARCH) | sha256sum | cut -c1-16)
bin=$target/$key
if ! [ -x "$bin/helm" ] || ! [ -x "$bin/check" ]; then
  echo "helm: building Helm, about two minutes the first time" >&2
  mkdir -p "$target"
  new=$(mktemp -d "$target/.new-XXXXXX")
  go build -trimpath -ldflags '-s -w' -o "$new/helm" helm.sh/helm/v4/cmd/helm
  go build -trimpath -ldflags '-s -w' -o "$new/check" .
  # Moved as a whole, so that an interrupted build is made anew.
  rm -rf "$bin"
  mv "$new" "$bin"
  find "$target" -mindepth 1 -maxdepth 1 -type d ! -name "$key" -exec rm -rf {} +
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Nothing of the user's own Helm, and no cluster.
export HELM_CACHE_HOME=$work/cache HELM_CONFIG_HOME=$work/config HELM_DATA_HOME=$work/data KUBECONFIG=/dev/null
template() { "$bin/helm" template serin "$chart" --namespace serin-system "$@"; }

for values in "$chart/values.yaml" full-values.yaml narrow-values.yaml; do
  "$bin/helm" lint --strict --quiet --values "$values" "$chart"
done
template --include-crds > "$work/default.yaml"
template --values full-values.yaml > "$work/full.yaml"
template --include-crds --values narrow-values.yaml > "$work/narrow.yaml"
"$bin/check" "$deploy" "$work/default.yaml" "$work/full.yaml" "$work/narrow.yaml"

# rights VERBS FILE: what the ClusterRole of the controller in a rendering may do with Deployments.
rights() {
  python3 - "$1" "$2" <<'PYTHON' || fail "$2: the verbs for Deployments are not $1"
import re, sys
role = next(part for part in open(sys.argv[2]).read().split('\n---') if 'kind: ClusterRole\n' in part and re.search('^  name: serin$', part, re.M))
rules = [rule for rule in role.split('- apiGroups:')[1:] if '\n  - deployments' in rule]
found = [verb for rule in rules for verb in re.findall(r'- (\w+)', rule.split('verbs:')[1])]
sys.exit(sorted(found) != sorted(sys.argv[1].split()))
PYTHON
}
rights 'list watch create patch delete' "$work/default.yaml"
rights 'list watch' "$work/narrow.yaml"
rights 'list watch' "$work/full.yaml"

# refused WORDS VALUES: the schema refuses VALUES, and says WORDS.
refused() {
  if template --set "$2" > "$work/out" 2>&1; then fail "the chart takes $2"; fi
  grep -qF -- "$1" "$work/out" || { cat "$work/out" >&2; fail "the refusal of $2 does not say: $1"; }
}
sha=$(printf '0%.0s' {1..64})
refused "at '/replicas'" replicas=x
refused "at '/replicas'" replicas=0
refused "additional properties 'replica' not allowed" replica=3
refused "at '/image/pullPolicy'" image.pullPolicy=Sometimes
refused "at '/imagePullSecrets/0'" 'imagePullSecrets={registry}'
refused "at '/rootNamespace'" rootNamespace=Istio_System
refused "at '/log'" log=yaml
refused "at '/filter/url'" "filter.url=plugin.wasm,filter.sha256=$sha"
refused "at '/filter/sha256'" filter.url=oci://registry.example/serin-filter:1
refused "at '/filter/sha256'" "filter.sha256=$sha"
refused "at '/filter/sha256'" filter.url=file:///plugin.wasm,filter.sha256=sha256:0
refused "at '/serveUrl'" serveUrl=serin:8080
refused "at '/podLabels/team'" podLabels.team=1
refused "at '/workloads'" workloads=maybe
refused "at '/policies'" policies=3
refused "at '/controlAuthor/filled'" controlAuthor.filled=maybe
refused "at '/metrics/auth'" metrics.auth=token
refused "at '/metrics/sources/0'" 'metrics.sources={http://prometheus:9090}'
refused "at '/networkPolicy/metricsNamespaces/0'" 'networkPolicy.metricsNamespaces={Prometheus}'
refused "at '/serviceMonitor/interval'" serviceMonitor.interval=often

# The policy needs a Kubernetes that has it; without it, and without the check of tokens, nothing of them is left.
if template --kube-version 1.29.0 > "$work/out" 2>&1; then fail "the chart takes Kubernetes 1.29 with policies"; fi
grep -qF 'set policies=false' "$work/out" || fail "the refusal of Kubernetes 1.29 does not say what to do"
template --kube-version 1.29.0 --set policies=false > /dev/null
if template --kube-version 1.35.0 --set controlAuthor.filled=true > "$work/out" 2>&1; then fail "the chart takes Kubernetes 1.35 with authors filled in"; fi
grep -qF 'set controlAuthor.filled=false' "$work/out" || fail "the refusal of Kubernetes 1.35 does not say what to do"
template --kube-version 1.36.0 --set controlAuthor.filled=true | grep -q '^kind: MutatingAdmissionPolicyBinding' || fail "authors are not filled in"
template --set controlAuthor.checked=false > "$work/out"
if grep -q serin-author "$work/out"; then fail "authors are checked where they should not be"; fi
for words in tokenreviews serin-metrics-reader bearerTokenFile ValidatingAdmissionPolicy; do
  if grep -q "$words" "$work/full.yaml"; then fail "with full-values.yaml there is still $words"; fi
done
template --set serviceMonitor.enabled=true | grep -q bearerTokenFile || fail "the ServiceMonitor sends no token"

# One version: of the workspace, the chart, and the image that both ways of installing start.
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' ../../Cargo.toml)
[ -n "$version" ] || fail "Cargo.toml has no workspace version"
for key in version appVersion; do
  grep -qx "$key: $version" "$chart/Chart.yaml" || fail "$chart/Chart.yaml: $key is not $version, as in Cargo.toml"
done
echo "the chart renders what deploy/ installs: $(grep -c '^kind: ' "$work/default.yaml") objects"
