#!/usr/bin/env bash
# A fleet on one machine, for developers: three nodes, Redis, an S3 server, and nginx in front. It runs in the foreground until
# Ctrl-C or until one of its parts ends. Use: fleet.sh DECKLE VERSITYGW [PORT]; FLEET_DATA names the directory (data/fleet).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
deckle=$(realpath "$1") versitygw=$(realpath "$2") port=${3:-8080}
data=${FLEET_DATA:-$here/../../data/fleet}
mkdir -p "$data"/{redis,nginx,s3/originals,s3/variants}
data=$(realpath "$data")
export ROOT_ACCESS_KEY=fleet ROOT_SECRET_KEY=fleet-secret AWS_ACCESS_KEY_ID=fleet AWS_SECRET_ACCESS_KEY=fleet-secret
redis_port=$((port + 100)) s3_port=$((port + 101))

for program in redis-server nginx; do
  command -v "$program" >/dev/null || PATH=$PATH:/usr/sbin:/usr/local/sbin command -v "$program" >/dev/null ||
    { echo "fleet: $program is needed: install it, then run this again" >&2; exit 1; }
done
PATH=$PATH:/usr/sbin:/usr/local/sbin

parts=()
stop() {
  trap - EXIT INT TERM
  [ ${#parts[@]} -eq 0 ] || kill -TERM "${parts[@]}" 2>/dev/null || true
  wait
}
trap stop EXIT
trap 'stop; exit 0' INT TERM

# start NAME COMMAND...: runs it in the background, its output in NAME.log. A Ctrl-C is for this script alone, so that the parts
# end in its order.
start() {
  local name=$1
  shift
  (trap '' INT; exec "$@") >"$data/$name.log" 2>&1 &
  parts+=($!)
}

# await NAME URL: waits for any answer.
await() {
  for _ in $(seq 300); do
    if curl -s -o "$data/answer" "$2"; then return; fi
    sleep 0.1
  done
  echo "fleet: $1 does not answer; see $data/$1.log" >&2
  exit 1
}

start redis redis-server --bind 127.0.0.1 --port "$redis_port" --save '' --appendonly no --dir "$data/redis"
start s3 "$versitygw" --port "127.0.0.1:$s3_port" --keep-alive --quiet posix "$data/s3"
await s3 "http://127.0.0.1:$s3_port/"
place="endpoint=http%3A%2F%2F127.0.0.1%3A$s3_port&region=us-east-1&path_style=true"
nodes=
for i in 1 2 3; do
  start "node$i" "$deckle" serve --listen "127.0.0.1:$((port + i))" --admin-listen "127.0.0.1:$((port + 10 + i))" \
    --data "$data/node$i" --redis "redis://127.0.0.1:$redis_port/0" \
    --origin "s3://originals?$place" --store "s3://variants?$place" --trusted-proxies 127.0.0.1
  nodes+="    server 127.0.0.1:$((port + i)) max_fails=0;"$'\n'
done
conf=$(<"$here/nginx.conf")
# Without PostgreSQL records are each node's own: what changes something goes to the first, whose operators give the tokens.
first='map $request_method $node { default nodes; POST first; PUT first; DELETE first; }'
conf=${conf/  server \{/  $first$'\n'  upstream first \{ server 127.0.0.1:$((port + 1)); \}$'\n'  server \{}
conf=${conf/http:\/\/nodes/http:\/\/\$node}
conf=${conf//DIR/$data} conf=${conf//NODES/$nodes} conf=${conf//PORT/$port}
printf '%s\n' "$conf" >"$data/nginx.conf"
for i in 1 2 3; do await "node$i" "http://127.0.0.1:$((port + i))/_health"; done
# Started by root, nginx would work as a user who need not be able to walk to the folder where long bodies wait.
as=()
[ "$(id -u)" != 0 ] || as=(-g "user root;")
start nginx nginx -e stderr -p "$data" -c "$data/nginx.conf" "${as[@]}"
await nginx "http://127.0.0.1:$port/_health"

echo "edge      http://127.0.0.1:$port/           nginx before three nodes; X-Node says which one answered"
for i in 1 2 3; do
  echo "node $i    http://127.0.0.1:$((port + i))/   operators http://127.0.0.1:$((port + 10 + i))/   log $data/node$i.log"
done
echo "tokens    $deckle token holiday/beach --admin http://127.0.0.1:$((port + 11)): uploads go to node 1, since records are each node's own here"
echo "Redis     127.0.0.1:$redis_port   S3 http://127.0.0.1:$s3_port/ (key fleet, secret fleet-secret)   Ctrl-C stops all"
wait -n "${parts[@]}" || true
echo "fleet: one of the parts has ended; see the logs in $data" >&2
exit 1
