#!/bin/sh
# run-tests.sh - run test programs and count.
#
# usage: run-tests.sh PROGRAM... (an argument may carry the program's own arguments)
#
# A cmocka program is counted by its "[       OK ]" and "[  FAILED  ]" lines, any other by a
# last line "N passed, N failed". A program that crashes, or that exits with another status
# than its counts say, is a failure by itself. The output of a failed program is shown; all
# of it is kept in $BUILD/logs. The sums are appended to $BUILD/tally.
BUILD=${BUILD:-build}
mkdir -p "$BUILD/logs"
export BUILD
# Threads that wait do not keep a core from others: much faster where other work runs.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"
passed=0
failed=0
for test in "$@"; do
  name=$(basename "${test%% *}")
  case $test in *' '*) name="$name ${test#* }" ;; esac
  log="$BUILD/logs/$(echo "$name" | tr ' /' '__').log"
  began=$(date +%s)
  case $test in
    *.sh) sh $test >"$log" 2>&1 ;;
    *) $test >"$log" 2>&1 ;;
  esac
  rc=$?
  seconds=$(($(date +%s) - began))
  if grep -qE '^[0-9]+ passed, [0-9]+ failed' "$log"; then
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
    ok=${line%% *}
    bad=${line#*, }
    bad=${bad%% *}
  else
    ok=$(grep -c '^\[       OK \]' "$log")
    bad=$(grep -c '^\[  FAILED  \] [A-Za-z_0-9]*$' "$log")
    # cmocka repeats the failed ones in a list at the end, whose head has the count
    list=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) test(s), listed below.*/\1/p' "$log" | tail -n 1)
    [ -n "$list" ] && bad=$list
  fi
  [ $rc != 0 ] && [ "$bad" = 0 ] && bad=1
  passed=$((passed + ok))
  failed=$((failed + bad))
  if [ "$bad" = 0 ]; then
    printf '  %-28s %4d passed  %3d s\n' "$name" "$ok" "$seconds"
  else
    printf '  %-28s %4d passed  %d FAILED (exit %d)\n' "$name" "$ok" "$bad" "$rc"
    tail -n 40 "$log" | sed 's/^/    | /'
  fi
done
echo "$passed $failed" >>"$BUILD/tally"
[ $failed = 0 ]
