#!/usr/bin/env bash
# Measures a freshly started deckle: hits against a bare server of the same bytes and headers, misses, and how fast work beyond
# the queue is refused. Everything runs on this machine's loopback; figures go to bench/results/ with the commands that made
# them. Usage: bench/run.sh BINARY [ROUNDS] [SECONDS]
set -euo pipefail

deckle=${1:?usage: run.sh BINARY [ROUNDS] [SECONDS]}
rounds=${2:-5}
seconds=${3:-5}
out=bench/results
work=$(mktemp -d)
pid=""
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$work"' EXIT
mkdir -p "$out"

# serve NAME FLAGS...: starts a server with the demo picture and sets base and pid.
serve() {
  local name=$1
  shift
  "$deckle" serve --demo --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --data "$work/$name" "$@" >/dev/null 2>"$work/$name.log" &
  pid=$!
  until base=$(sed -nE 's/.*"msg":"serving","edge":"([^"]*)".*/http:\/\/\1/p' "$work/$name.log") && [ -n "$base" ]; do
    kill -0 "$pid" 2>/dev/null || { cat "$work/$name.log" >&2; exit 1; }
    sleep 0.05
  done
}

stop() {
  kill "$pid"
  wait "$pid" || true
  pid=""
}

run() {
  local name=$1
  shift
  echo "== $name: deckle bench $*"
  "$deckle" bench "$@" --rounds "$rounds" --duration "${seconds}s" --json "$out/$name.json"
}

serve logged
run hit "deckle=$base,urls=plain,pid=$pid" --workload hit --floor --connections 32
stop
serve quiet --access-log errors --source-budget off # misses are new sizes of one picture
run hit-errors-logged "deckle=$base,urls=plain,pid=$pid" --workload hit --floor --connections 32
run hit-open "deckle=$base,urls=plain,pid=$pid" --workload hit --loop open --rate 2000 --connections 32
for format in jpg png webp avif; do
  run "miss-$format" "deckle=$base,pid=$pid" --workload miss --format "$format" --connections 4 --max-side 600
done
stop
