#!/usr/bin/env bash
# Measures a freshly started deckle on this machine's loopback, and leaves figures, page and tables under bench/results/.
#
#   bench/run.sh BINARY [suite] [PEER...]   all workloads, within five minutes: NAME.json, NAME.html, NAME.txt
#   bench/run.sh BINARY floor               hits against a bare server of the same bytes and headers, and misses, alone
#
# PEER is a further server as `deckle bench` takes it (imgproxy=http://127.0.0.1:8091,urls=imgproxy,pid=N); ratios are to the first.
# It has to serve the pictures of SOURCES, a directory that `deckle bench sources` filled; without it one is made and removed.
# Environment: NAME (default), BUDGET (4m), ROUNDS (5), SECONDS_EACH (5; floor only), SOURCES, OUT (bench/results).
set -euo pipefail

deckle=${1:?usage: run.sh BINARY [suite|floor] [PEER...]}
what=${2:-suite}
shift $(($# < 2 ? $# : 2))
name=${NAME:-default}
rounds=${ROUNDS:-5}
out=${OUT:-bench/results}
work=$(mktemp -d)
pid=""
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$work"' EXIT
mkdir -p "$out"
jemalloc=$(ldconfig -p 2>/dev/null | awk '/libjemalloc\.so\.2/ { print $NF; exit }')

# serve NAME FLAGS...: starts a server and sets base, admin and pid.
serve() {
  local log=$work/$1.log
  shift
  LD_PRELOAD=$jemalloc "$deckle" serve --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --data "$work/data" "$@" >/dev/null 2>"$log" &
  pid=$!
  until base=$(sed -nE 's/.*"msg":"serving","edge":"([^"]*)".*/http:\/\/\1/p' "$log") && [ -n "$base" ]; do
    kill -0 "$pid" 2>/dev/null || { cat "$log" >&2; exit 1; }
    sleep 0.05
  done
  admin=$(sed -nE 's/.*"msg":"serving".*"admin":"([^"]*)".*/http:\/\/\1/p' "$log")
}

stop() {
  kill "$pid"
  wait "$pid" || true
  pid=""
}

suite() {
  local sources=${SOURCES:-$work/sources} ids
  if [ -z "${SOURCES:-}" ]; then
    echo "making twelve pictures of 6 megapixels"
    "$deckle" bench sources "$sources" >/dev/null
  fi
  ids=$(cd "$sources" && ls p*.jpg | sed 's/\.jpg$//' | sort -V | paste -sd,)
  # Misses are many new sizes of few sources, which the budget of a source is there to refuse.
  serve suite --origin "file://$sources" --source-budget off --access-log errors
  "$deckle" bench "$@" "deckle=$base,admin=$admin,pid=$pid" --id "$ids" --originals "$sources" --rounds "$rounds" \
    --budget "${BUDGET:-4m}" --json "$out/$name.json" --html "$out/$name.html" | tee "$out/$name.txt"
  stop
  echo "figures: $out/$name.json; page: $out/$name.html"
}

run() {
  local file=$1
  shift
  echo "== $file: deckle bench $*"
  "$deckle" bench "$@" --rounds "$rounds" --duration "${SECONDS_EACH:-5}s" --fidelity 0 --json "$out/$file.json"
}

floor() {
  serve logged --demo
  run hit "deckle=$base,urls=plain,pid=$pid" --workload hit --floor --connections 32 --max-side 400
  stop
  serve quiet --demo --access-log errors --source-budget off
  run hit-errors-logged "deckle=$base,urls=plain,pid=$pid" --workload hit --floor --connections 32 --max-side 400
  run hit-open "deckle=$base,urls=plain,pid=$pid" --workload hit --loop open --rate 2000 --connections 32 --max-side 400
  for format in jpg png webp avif; do
    run "miss-$format" "deckle=$base,pid=$pid" --workload miss --format "$format" --connections 4
  done
  stop
}

case $what in
  suite) suite "$@" ;;
  floor) floor ;;
  *) echo "run.sh: $what is neither suite nor floor" >&2; exit 2 ;;
esac
