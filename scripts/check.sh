#!/bin/sh
# check.sh - run groups of tests to the end, then say how many passed and failed.
#
# usage: check.sh GROUP...   (headers symbols install unit kernels reference budget api cli)
BUILD=${BUILD:-build}
MAKE=${MAKE:-make}
rm -f "$BUILD/tally"
for group in "$@"; do
  echo "== $group"
  case $group in
    kernels) target=checkkernels ;;
    budget) target='check-budget BUDGET_CASES=100' ;; # `make check-budget` runs more
    *) target=check-$group ;;
  esac
  case $group in
    headers | symbols | install) # one check each
      if $MAKE $target; then echo "1 0" >>"$BUILD/tally"; else echo "0 1" >>"$BUILD/tally"; fi ;;
    *)
      lines=$(cat "$BUILD/tally" 2>/dev/null | wc -l)
      $MAKE -k $target
      rc=$?
      # a group that did not even build has left no count
      [ $rc = 0 ] || [ "$(cat "$BUILD/tally" 2>/dev/null | wc -l)" != "$lines" ] ||
        echo "0 1" >>"$BUILD/tally" ;;
  esac
done
awk '{ p += $1; f += $2 } END { printf "%d passed, %d failed\n", p, f; exit f > 0 }' "$BUILD/tally"
