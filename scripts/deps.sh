#!/bin/sh
# deps.sh - install what building and testing need and the system lacks, by the system's own
# package manager. Says what it runs; does nothing when all is there.
set -eu

libraries="zlib jansson libpng cmocka"

missing=""
for program in pkg-config make objcopy; do
  command -v $program >/dev/null 2>&1 || missing="$missing $program"
done
command -v "${CC:-cc}" >/dev/null 2>&1 || missing="$missing ${CC:-cc}"
if command -v pkg-config >/dev/null 2>&1; then
  for library in $libraries; do
    pkg-config --exists $library || missing="$missing $library"
  done
else
  missing="$missing $libraries"
fi
[ -n "$missing" ] || exit 0
echo "missing:$missing"

root=""
if [ "$(id -u)" != 0 ]; then
  if command -v sudo >/dev/null 2>&1; then root="sudo"; else
    echo "not root and no sudo: install the above by hand, then run this again" >&2
    exit 1
  fi
fi

run() {
  echo "running: $*"
  "$@"
}

if command -v apt-get >/dev/null 2>&1; then
  run $root env DEBIAN_FRONTEND=noninteractive apt-get update -q
  run $root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
    gcc libc6-dev make binutils pkg-config zlib1g-dev libjansson-dev libpng-dev \
    libcmocka-dev
elif command -v dnf >/dev/null 2>&1; then
  run $root dnf install -y gcc make binutils pkgconf-pkg-config zlib-devel \
    jansson-devel libpng-devel libcmocka-devel
elif command -v zypper >/dev/null 2>&1; then
  run $root zypper --non-interactive install gcc make binutils pkg-config zlib-devel \
    libjansson-devel libpng16-devel libcmocka-devel
elif command -v pacman >/dev/null 2>&1; then
  run $root pacman -S --needed --noconfirm gcc make binutils pkgconf zlib jansson libpng \
    cmocka
elif command -v apk >/dev/null 2>&1; then
  run $root apk add gcc musl-dev make binutils pkgconf zlib-dev jansson-dev libpng-dev \
    cmocka-dev libgomp
elif command -v brew >/dev/null 2>&1; then
  run brew install pkg-config binutils zlib jansson libpng cmocka libomp
else
  echo "no package manager this script knows: install the above by hand" >&2
  exit 1
fi

for library in $libraries; do
  pkg-config --exists $library || { echo "still missing: $library" >&2; exit 1; }
done
