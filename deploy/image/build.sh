#!/usr/bin/env bash
# Builds deckle and its manual page, OUTPUT.1, in a Debian 13 root that has Go: the first stage of deploy/docker/Dockerfile, and of
# prove.sh beside this file.
# Run it in the root of the source tree. Use: build.sh OUTPUT [REVISION], the revision being what `deckle version` says.
set -euo pipefail
output=$1 revision=${2:-}

deploy/libvips.sh
# Nothing of the machine goes into the binary: no paths, no symbols, no repository that happens to be around it.
go build -trimpath -buildvcs=false -ldflags "-s -w -X main.built=$revision" -o "$output" ./cmd/deckle
"$output" man >"$output.1"
