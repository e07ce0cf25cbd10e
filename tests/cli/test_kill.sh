# test_kill.sh - ptv3 predict killed at any moment, within a budget that needs a temporary
# file and without: no half-written result, nothing left in the folder for temporary files.
. tests/cli/lib.sh
cloud=demo/val/ign_77060_627760.las
tmp=$BUILD/kill-tmp # beside what is built: /tmp may be in memory
rm -rf "$tmp"
mkdir -p "$tmp" "$work/out"
trap 'rm -rf "$work" "$tmp"' EXIT

run predict tests/small.py -w random:1 $cloud -o "$work/whole.npy" --memory 1G
check "a run without a file" is 0
run predict tests/small.py -w random:1 $cloud -o "$work/spilled.npy" --memory 13M --tmp "$tmp"
check "a run with a file" is 0
check "the file is told" says "in a temporary file of .* in '$tmp'"
check "the labels are the same" cmp -s "$work/whole.npy" "$work/spilled.npy"
check "nothing is left" [ "$(ls -A "$tmp")" = "" ]

# killed DELAY ARGS... - kills a run after some seconds; $status is 137 if it still ran.
killed() {
  delay=$1
  shift
  "$ptv3" predict tests/small.py -w random:1 $cloud -o "$work/out/labels.npy" -q "$@" \
    --tmp "$tmp" >"$out" 2>"$err" &
  pid=$!
  sleep "$delay"
  kill -9 $pid 2>/dev/null
  wait $pid 2>/dev/null
  status=$?
}

nothing_half() { # all of it or none, and no file beside it
  [ "$(ls -A "$tmp")" = "" ] || return 1
  case $(ls -A "$work/out") in
    '') ;;
    labels.npy) cmp -s "$work/whole.npy" "$work/out/labels.npy" ;;
    *) return 1 ;;
  esac
}

hit=0
for delay in 0.03 0.06 0.1 0.15 0.2 0.25 0.3 0.4; do
  for memory in 1G 13M; do
    rm -f "$work/out/labels.npy"
    killed $delay --memory $memory
    [ $status = 137 ] && hit=$((hit + 1))
    check "killed after $delay s with $memory" nothing_half
  done
done
check "some were killed in time ($hit)" [ $hit -ge 4 ]

finish
