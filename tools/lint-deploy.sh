#!/usr/bin/env bash
# Lints what deploy/ holds with the parsers that will read it: Dockerfile (BuildKit), compose (compose-go), chart (helm lint and
# template, then each object against Kubernetes' own schemas), unit (systemd), scripts (bash), alert rules and dashboard (Prometheus). Use:
# lint-deploy.sh TOOLS, the folder with helm, kubectl-validate, deploylint and rulelint.
set -euo pipefail
tools=$(realpath "$1")
cd "$(dirname "$0")/../deploy"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HELM_CACHE_HOME=$work/helm HELM_CONFIG_HOME=$work/helm HELM_DATA_HOME=$work/helm
readonly oldest=1.25 newest=1.30

"$tools/deploylint" dockerfile docker/Dockerfile
"$tools/deploylint" compose POSTGRES_PASSWORD=p S3_ACCESS_KEY=a S3_SECRET_KEY=s compose/single.yaml compose/fleet.yaml
echo "lint: Dockerfile and compose files are well"
"$tools/rulelint" prometheus/alerts.yaml grafana/deckle.json
echo "lint: alert rules and dashboard are well"

# render NAME ARGUMENT...: the chart's objects, those of other people's kinds apart.
render() {
  local name=$1
  shift
  "$tools/helm" lint --quiet --strict helm/deckle "$@" >"$work/lint" || { cat "$work/lint" >&2; return 1; }
  "$tools/helm" template release helm/deckle --namespace pictures "$@" >"$work/all.yaml"
  awk -v RS='---\n' -v ORS='---\n' '!/\nkind: ServiceMonitor\n/' "$work/all.yaml" >"$work/$name.yaml"
  for version in $oldest $newest; do
    "$tools/kubectl-validate" --version "$version" "$work/$name.yaml" >"$work/validate" 2>&1 || { cat "$work/validate" >&2; return 1; }
  done
  echo "lint: chart, $name: $(grep -c '^kind:' "$work/all.yaml") objects are well for Kubernetes $oldest and $newest"
}
render default
render one --values helm/values/one.yaml
render fleet --values helm/values/fleet.yaml

# refused WORDS ARGUMENT...: values that cannot work are refused with a message that has the words in it.
refused() {
  local words=$1
  shift
  if "$tools/helm" template release helm/deckle "$@" >/dev/null 2>"$work/refusal"; then echo "lint: the chart takes $*" >&2; return 1; fi
  grep -q -- "$words" "$work/refusal" || { echo "lint: the chart refuses $* with:" >&2; cat "$work/refusal" >&2; return 1; }
}
refused 'set config.origin' --set replicas=2
refused 'set config.store' --set replicas=2 --set config.origin=s3://b
refused 'set existingSecret' --set replicas=2 --set config.origin=s3://b --set config.store=s3://c
refused 'a volume belongs to one node' --set replicas=2 --set config.origin=s3://b --set config.store=s3://c --set existingSecret=s --set persistence.enabled=true
refused 'DECKLE_API_KEYS' --set admin.expose=true
refused 'serviceMonitor needs' --set serviceMonitor.enabled=true
refused 'min is above' --set autoscaling.min=11
refused 'repliccas' --set repliccas=2
refused 'api-keys' --set config.api-keys=secret
refused 'digest' --set image.digest=latest
echo "lint: the chart refuses what cannot work"

for script in image/*.sh fleet/*.sh libvips.sh; do bash -n "$script"; done
if command -v systemd-analyze >/dev/null; then
  # It looks for the program, which need not be installed here.
  sed 's|^ExecStart=/usr/local/bin/deckle|ExecStart=/bin/true|' systemd/deckle.service >"$work/deckle.service"
  systemd-analyze verify --man=no "$work/deckle.service"
  systemd-analyze security --offline=true --threshold=25 "$work/deckle.service" | tail -n 1
fi
echo "lint: scripts and unit are well"
