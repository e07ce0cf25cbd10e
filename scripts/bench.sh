#!/bin/sh
# bench.sh PROGRAM... - time the kernels; one line a kernel and shape.
set -eu
for program in "$@"; do
  "$program" --bench
done
