#!/bin/sh
# check-headers.sh - does every header of a folder compile alone? Those of include/ also as
# C99 and as C++17, without a warning.
set -eu
CC=${CC:-cc}
CXX=${CXX:-c++}
folder=$1
empty=$(mktemp)
trap 'rm -f "$empty"' EXIT
if [ "$folder" = include ]; then
  for header in include/*.h; do
    $CC -std=c99 -pedantic -Wall -Wextra -Werror -fsyntax-only -include "$header" -x c "$empty"
    if command -v "$CXX" >/dev/null 2>&1; then
      $CXX -std=c++17 -pedantic -Wall -Wextra -Werror -fsyntax-only -include "$header" -x c++ "$empty"
    fi
  done
  command -v "$CXX" >/dev/null 2>&1 || echo "no C++ compiler: headers not checked as C++17"
else
  for header in $(find "$folder" -name '*.h' 2>/dev/null | sort); do
    $CC ${CFLAGS:-} -Wall -Wextra -Wno-unused-function -Werror -fsyntax-only \
      -include "$header" -x c "$empty" || { echo "'$header' does not compile alone" >&2; exit 1; }
  done
fi
