#!/usr/bin/env bash
# Runs every fuzz target of the tree for the given time each; what they find is kept under the package's testdata.
set -euo pipefail

time=${1:?usage: fuzz.sh TIME, as in 1m}
grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n 1 dirname | sort -u | while read -r folder; do
  sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$folder"/*_test.go | while read -r target; do
    echo "== $folder $target"
    go test "$folder" -run '^$' -fuzz "^$target\$" -fuzztime "$time" </dev/null
  done
done
