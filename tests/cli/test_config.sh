# test_config.sh - ptv3 config, info and convert.
. tests/cli/lib.sh

run config tests/small.py --key data.names
check "a key" is 0
check "a key's value" prints '"vegetation"'

run config tests/small.py --options model.backbone.in_channels=9 num_classes=5 --key model
check "options apply" prints '"in_channels": 9'

run config tests/small.py --options model.backbone.enc_depths="[2,2]" --key model.backbone.enc_depths.1
check "a list by index" prints '^2$'

run config tests/small.py --options nonsense
check "an option without '=' is wrong use" is 2

run config tests/small.py --key model.nothing
check "a key that is not there" is 4
check "is named" says "'model.nothing'"

run config "$work/none.py"
check "a file that is not there" is 4
check "is named with the reason" says "none.py': No such file"

echo 'x = open("/etc/passwd").read()' >"$work/bad.py"
run config "$work/bad.py"
check "code is not run" is 4
check "and the place is given" says "bad.py:1:"

run info tests/small.py demo/val/ign_77060_627760.las
check "info of two files" is 0
check "info of a configuration" prints 'PT-v3m1'
check "info of a cloud" prints 'points *59606'
check "coordinates keep their offset" prints '770600.000 to 770650.000'

run info "$work/none.las"
check "info of nothing" is 4

head -c 5000 demo/val/ign_77060_627760.las >"$work/cut.las"
run info "$work/cut.las"
check "a cut file" is 4
check "a cut file is named" says "cut.las"

printf '0 0 0\n1 2 3\n' >"$work/two.xyz"
run info "$work/two.xyz"
check "a text cloud" prints 'points *2'

# weights: a file made here, one tensor of two numbers
json='{"a.weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
{
  i32 ${#json} 0
  printf '%s' "$json"
  i32 1065353216 1073741824
} >"$work/w.safetensors"
run info "$work/w.safetensors" --all
check "info of weights" prints 'parameters *2'
check "tensors are listed" prints 'a.weight *F32 *2'

run convert "$work/w.safetensors" "$work/w.pth"
check "to .pth" is 0
run convert "$work/w.pth" "$work/back.safetensors" --quiet
check "and back" is 0
check "--quiet says nothing" silent
run info "$work/back.safetensors" --all
check "the tensor is there" prints 'a.weight *F32 *2'
run convert "$work/w.pth" "$work/half.safetensors" --type f16
run info "$work/half.safetensors" --all
check "as 16 bit" prints 'a.weight *F16 *2'

run convert "$work/w.pth" "$work/w.xyz"
check "an unknown format" is 4
check "leaves no file" absent "$work/w.xyz"
run convert "$work/w.pth" "$work/no/such/folder.pth"
check "a folder that is not there is a failed write" is 1
echo 'not weights' >"$work/junk.pth"
run convert "$work/junk.pth" "$work/junk.safetensors"
check "junk is refused" is 4
check "junk leaves no file" absent "$work/junk.safetensors"

finish
