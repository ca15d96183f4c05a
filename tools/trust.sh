#!/usr/bin/env bash
# Checks the claims that Deckle makes of itself, on the real binary without the race detector, and writes what came out: the
# short form takes about ten minutes on two cores. Longer: ROUNDS of kills (200), DECKLE_TRUST_ANSWERS answers (20000).
set -euo pipefail
cd "$(dirname "$0")/.."

results=$(mktemp)
trap 'rm -f "$results"' EXIT
failed=0
DECKLE_TRUST_REPORT=$results DECKLE_CRASH_ROUNDS=${ROUNDS:-200} DECKLE_CRASH_REPORT=$PWD/bench/results/crash.md \
  go test -count=1 -timeout 100m -run 'TestTrust|TestCrashLife' -v ./cmd/deckle | grep -v '"msg":' || failed=1
cpu=$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)
go run ./tools/trustpage bench/results "\`make trust\` at $(git rev-parse --short HEAD) on $(date -u +%F), $(nproc) cores (${cpu:-unknown}), libvips $(pkg-config --modversion vips), $(go version | cut -d ' ' -f 3)." <"$results"
cat bench/results/trust.md
exit $failed
