#!/usr/bin/env bash
# Runs every fuzz target of the tree for the given time each. What they find on the way is kept in .fuzz, one folder a package
# and target, so that the next run goes on from there; an input that fails is written to the package's testdata/fuzz, as ever.
# The seeds under testdata/fuzz are the small ones of such a corpus: go test replays them.
set -euo pipefail

time=${1:?usage: fuzz.sh TIME, as in 1m}
kept=$PWD/.fuzz
grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n 1 dirname | sort -u | while read -r folder; do
  sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$folder"/*_test.go | while read -r target; do
    echo "== $folder $target"
    mkdir -p "$kept/$folder"
    go test "$folder" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -args -test.fuzzcachedir="$kept/$folder" </dev/null
  done
done
