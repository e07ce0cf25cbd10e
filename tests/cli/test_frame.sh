# test_frame.sh - commands, options, help, exit statuses of the command line itself.
. tests/cli/lib.sh

run
check "no command is wrong use" is 2
check "no command shows the commands" says "commands:"

run help
check "help succeeds" is 0
check "help lists commands" prints "  convert "
check "help is quiet on standard error" silent

run --help
check "--help is help" prints "usage: ptv3 COMMAND"

run --version
check "--version succeeds" is 0
check "--version prints a version" prints "^ptv3 [0-9]*\.[0-9]*\.[0-9]*$"

run version
check "version names the compiler" prints "compiler"
check "version names the processor" prints "processor"

spins() { # spins SETTING VALUE: what libgomp says it took from the environment
  env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT $1 OMP_DISPLAY_ENV=verbose "$ptv3" version >"$out" 2>&1
  status=$?
  tail -n 40 "$out" | grep -q "GOMP_SPINCOUNT = '$2'"
}
if ldd "$ptv3" 2>/dev/null | grep -q libgomp; then
  check "threads spin briefly" spins "" 10000
  check "unless another count is asked for" spins GOMP_SPINCOUNT=77 77
  check "or another policy" spins OMP_WAIT_POLICY=passive 0
fi

run version extra
check "an operand too many is wrong use" is 2

run cnofig
check "an unknown command is wrong use" is 2
check "an unknown command has a suggestion" says "did you mean 'config'"

run zzzzzz
check "no suggestion for nonsense" fails says "did you mean"

for command in config convert info render version predict eval; do
  run help $command
  check "help $command succeeds" is 0
  check "help $command shows its use" prints "usage: ptv3 $command"
  run $command --help
  check "$command --help succeeds" is 0
done

run help nothing
check "help for an unknown command is wrong use" is 2

run config --optoins a=1 tests/small.py
check "an unknown option is wrong use" is 2
check "the option is named" says "unknown option '--optoins'"
check "the option has a suggestion" says "did you mean '--options'"

run config -x tests/small.py
check "an unknown letter is wrong use" is 2

run config
check "a missing operand is wrong use" is 2
check "a missing operand shows the use" says "use: ptv3 config"

run config tests/small.py another.py
check "one operand too many" says "'another.py' is one word too many"

run config tests/small.py --key
check "a missing value is wrong use" is 2
check "a missing value is named" says "\-\-key needs a value"

run config tests/small.py --quiet=yes
check "a flag takes no value" says "takes no value"

run config tests/small.py --threads 0
check "no threads at all" is 2
run config tests/small.py --threads many
check "threads that are no number" says "\-\-threads: 'many'"
run config tests/small.py --memory much
check "memory that is no size" says "'much' is not a size"
run config tests/small.py --memory -5
check "negative memory" is 2
for size in 100M 1G 0.5GiB 200000k 1073741824 1gb; do
  run config tests/small.py --memory $size --key data.num_classes
  check "--memory $size" is 0
done
run config tests/small.py --memory 20k
check "a budget too small has its own status" is 3
check "a budget too small is explained" says "budget"

run convert a b --type f8
check "an unknown choice is wrong use" is 2
check "choices are listed" says "one of: keep, f32, f16, bf16, f64"

run config -- --key
check "after -- words are operands" is 4
check "and are used as such" says "'--key'"

run config tests/small.py -kdata.num_classes
check "a letter with its value attached" prints "^3$"
run config tests/small.py --key=data.num_classes
check "a name with its value attached" prints "^3$"

run config tests/small.py
check "nothing is coloured in a pipe" no_escapes

"$ptv3" config tests/small.py >/dev/full 2>"$err"
status=$?
check "a full disk behind standard output" is 1

finish
