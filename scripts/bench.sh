#!/bin/sh
# bench.sh PROGRAM... - time the kernels, one line a kernel and shape; then the whole network on
# synthetic rooms and, where ../shared/data is, on real ones; then whole runs of the program on
# the demonstration's scan. NET: options of bench_net ("--all" for the largest rooms). The
# network's numbers go to $BUILD/bench_net.json as well.
set -eu
BUILD=${BUILD:-build}
NET=${NET:-}
for program in "$@"; do
  "$program" --bench
done
# shellcheck disable=SC2086 # NET is a list of options
"$BUILD/bench/bench_net" --json "$BUILD/bench_net.json" $NET
real=
for scene in s3dis/Area_3/hallway_3 s3dis/Area_4/hallway_5 scannet/train/scene0000_00; do
  if [ -d "../shared/data/$scene" ]; then real="$real,../shared/data/$scene"; fi
done
if [ -n "$real" ]; then
  # shellcheck disable=SC2086
  "$BUILD/bench/bench_net" --json "$BUILD/bench_net_real.json" $NET --inputs "$real"
fi
echo "ptv3 predict, tests/small.py on demo/val (59606 points), everything included"
for run in 1 2 3 4 5; do
  began=$(date +%s%N)
  "$BUILD/ptv3" predict tests/small.py --weight random:1 demo/val/*.las -o "$BUILD/bench.npy" --quiet
  echo "  run $run: $((($(date +%s%N) - began) / 1000000)) ms"
done
rm -f "$BUILD/bench.npy"
