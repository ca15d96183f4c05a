#!/usr/bin/env bash
# Installs the servers that the tests start, and says what it installs. Root is needed for installing only.
set -euo pipefail

command -v redis-server >/dev/null && exit 0
command -v apt-get >/dev/null || { echo "tests: redis-server is needed; install it with this system's packages" >&2; exit 1; }
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
echo "tests: installing redis-server"
# Installing it must not start it: tests start their own on free ports.
"${as_root[@]}" apt-get update -q >/dev/null
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -q --no-install-recommends redis-server >/dev/null
