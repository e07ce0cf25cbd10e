# lib.sh - sourced by tests/cli/test_*.sh: run the program, check status and output, count.
#
#   run ARGS...            runs ptv3; $status, $out (file), $err (file)
#   check NAME COMMAND...  counts a test that passes when COMMAND succeeds
#   finish                 prints the count
BUILD=${BUILD:-build}
ptv3=${PTV3:-$BUILD/ptv3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=$work/stdout
err=$work/stderr
passed=0
failed=0

run() {
  "$ptv3" "$@" >"$out" 2>"$err"
  status=$?
}

check() {
  name=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED: $name (status $status)"
    sed 's/^/  out: /' "$out" | head -n 5
    sed 's/^/  err: /' "$err" | head -n 5
  fi
}

is() { [ "$status" = "$1" ]; }
says() { grep -q -e "$1" "$err"; }     # on standard error
prints() { grep -q -e "$1" "$out"; }   # on standard output
silent() { [ ! -s "$err" ]; }
absent() { [ ! -e "$1" ]; }
fails() { ! "$@"; }
no_escapes() { ! grep -q "$(printf '\033')" "$out" "$err"; }
only() { # only FOLDER NAME...: the folder holds these names and nothing else
  folder=$1
  shift
  [ "$(ls -A "$folder" | sort | tr '\n' ' ')" = "$(printf '%s\n' "$@" | sort | tr '\n' ' ')" ]
}

# little_endian WIDTH BITS... - bytes of numbers given as integers
i32() { for v in "$@"; do printf "\\$(printf %03o $((v & 255)))\\$(printf %03o $((v >> 8 & 255)))\\$(printf %03o $((v >> 16 & 255)))\\$(printf %03o $((v >> 24 & 255)))"; done; }

finish() {
  echo "$passed passed, $failed failed"
  [ $failed = 0 ]
}
