#!/bin/sh
# check-symbols.sh - the static and the shared library define ptv3_ symbols and nothing else,
# and every function the public headers declare.
set -eu
static=$1
shared=$2
defined() { awk '$2 ~ /^[TDRBVWiu]$/ { print $3 }' | grep -v '^__asan\|^__ubsan\|^__odr_asan' | sort -u; }
nm -g --defined-only "$static" | defined >"$static.symbols"
nm -D -g --defined-only "$shared" | defined >"$shared.symbols"
for list in "$static.symbols" "$shared.symbols"; do
  if grep -v '^ptv3_' "$list"; then
    echo "${list%.symbols} exports the above, which do not begin with ptv3_" >&2
    exit 1
  fi
done
declared=$(cat include/*.h | tr '\n' ' ' | sed 's/PTV3_API/\n&/g' |
  sed -n 's/^PTV3_API[^(;]*[ *]\(ptv3_[a-z0-9_]*\)(.*/\1/p' | sort -u)
for name in $declared; do
  grep -qx "$name" "$static.symbols" || { echo "'$name' is declared and not in $static" >&2; exit 1; }
done
