#!/bin/sh
# fuzz.sh SECONDS TARGET... - run each fuzz target on its corpus for that long. New inputs go
# to the build folder; the committed corpus is read only.
set -eu
seconds=$1
shift
BUILD=${BUILD:-build-fuzz}
for target in "$@"; do
  name=${target#fuzz_}
  mkdir -p "$BUILD/corpus/$name" "$BUILD/crashes"
  seeds=""
  [ -d "tests/fuzz/corpus/$name" ] && seeds="tests/fuzz/corpus/$name"
  echo "== $target, $seconds s"
  "$BUILD/fuzz/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="$BUILD/crashes/$name-" -print_final_stats=1 \
    "$BUILD/corpus/$name" $seeds 2>&1 | tail -n 12
done
[ -z "$(ls -A "$BUILD/crashes")" ] || { ls "$BUILD/crashes"; exit 1; }
