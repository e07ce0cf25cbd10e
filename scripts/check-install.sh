#!/bin/sh
# check-install.sh - install into a staging folder, build examples/embed.c against that copy
# (static and shared, by pkg-config alone), and run it.
set -eu
BUILD=${BUILD:-build}
MAKE=${MAKE:-make}
CC=${CC:-cc}
stage=$(pwd)/$BUILD/stage
rm -rf "$stage"
$MAKE install DESTDIR="$stage" PREFIX=/usr >"$BUILD/install.log"
unset PKG_CONFIG_SYSROOT_DIR || true
export PKG_CONFIG_PATH="$stage/usr/lib/pkgconfig"
at="--define-variable=prefix=$stage/usr --define-variable=libdir=$stage/usr/lib"

$CC -std=c99 -Wall -Wextra -Werror ${SAN:-} -o "$BUILD/embed-shared" examples/embed.c \
  $(pkg-config $at --cflags --libs ptv3) -lm
LD_LIBRARY_PATH="$stage/usr/lib" "$BUILD/embed-shared" tests/small.py >"$BUILD/embed-shared.out"

$CC -std=c99 -Wall -Wextra -Werror ${SAN:-} -o "$BUILD/embed-static" examples/embed.c \
  $(pkg-config $at --cflags ptv3) "$stage/usr/lib/libptv3.a" \
  $(pkg-config $at --static --libs ptv3 | sed 's/-lptv3//') -lm
"$BUILD/embed-static" tests/small.py >"$BUILD/embed-static.out"
cmp "$BUILD/embed-shared.out" "$BUILD/embed-static.out"
"$stage/usr/bin/ptv3" version >/dev/null
$MAKE uninstall DESTDIR="$stage" PREFIX=/usr >/dev/null
left=$(find "$stage" -type f -o -type l)
[ -z "$left" ] || { echo "uninstall left: $left" >&2; exit 1; }
