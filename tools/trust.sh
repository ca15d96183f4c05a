#!/usr/bin/env bash
# Checks the claims that Deckle makes of itself, on the real binary without the race detector, and writes what came out.
set -euo pipefail
cd "$(dirname "$0")/.."

report=$PWD/bench/results/trust.md
mkdir -p "$(dirname "$report")"
{
  echo "# Trust: the claims, and what came out"
  echo
  echo "\`make trust\` at $(git rev-parse --short HEAD) on $(date -u +%F), $(nproc) cores ($(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)), libvips $(pkg-config --modversion vips), $(go version | cut -d ' ' -f 3)."
  echo
  echo "| claim | figures | |"
  echo "|---|---|---|"
} >"$report"
DECKLE_TRUST_REPORT=$report DECKLE_CRASH_ROUNDS=${ROUNDS:-200} DECKLE_CRASH_REPORT=$PWD/bench/results/crash.md \
  go test -count=1 -timeout 60m -run 'TestTrust|TestCrashLife' -v ./cmd/deckle | grep -v '"msg":' || { cat "$report"; exit 1; }
cat "$report"
