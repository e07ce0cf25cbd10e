#!/bin/sh
# bench.sh PROGRAM... - time the kernels, one line a kernel and shape, then whole runs of the
# program on the demonstration's scan with the demonstration's model.
set -eu
BUILD=${BUILD:-build}
for program in "$@"; do
  "$program" --bench
done
echo "ptv3 predict, demo/demo.py on demo/val (59606 points), everything included"
for run in 1 2 3 4 5; do
  began=$(date +%s%N)
  "$BUILD/ptv3" predict demo/demo.py --weight random:1 demo/val/*.las -o "$BUILD/bench.npy" --quiet
  echo "  run $run: $((($(date +%s%N) - began) / 1000000)) ms"
done
rm -f "$BUILD/bench.npy"
