# test_parts.sh - ptv3 predict where the points do not fit the budget at once: the file is read
# in parts, and what is written is the same.
. tests/cli/lib.sh
cloud=demo/val/ign_77060_627760.las
model="tests/small.py --weight random:1"
small="model.backbone.enc_channels=[16,16,16,16] model.backbone.enc_num_head=[1,1,1,1]
  model.backbone.dec_channels=[16,16,16] model.backbone.dec_num_head=[1,1,1]
  model.backbone_out_channels=16 data.val.transform.2.grid_size=2"

both() { # both CLOUD EXTENSION OPTION...: with much memory and with 3 MiB
  from=$1
  ext=$2
  shift 2
  run predict $model "$from" -o "$work/all.$ext" --options $small "$@"
  check "$from in memory, to $ext" is 0
  check "is not read in parts" fails says "in parts"
  run predict $model "$from" -o "$work/parts.$ext" --options $small "$@" --memory 3M
  check "$from in 3 MiB, to $ext" is 0
  check "is read in parts" says "read in parts"
  check "what is written is the same" cmp -s "$work/all.$ext" "$work/parts.$ext"
}

both $cloud npy --probabilities
check "and the probabilities" cmp -s "$work/all_probabilities.npy" "$work/parts_probabilities.npy"
cp "$out" "$work/shares"
both $cloud las
check "and the shares" cmp -s "$out" "$work/shares"
both $cloud ply
cp "$work/all.ply" "$work/in.ply"
both "$work/in.ply" las --fill strength=0.5
both "$work/in.ply" ply --fill strength=0.5

export TMPDIR="$work/none"
run predict $model $cloud -o "$work/no.npy" --options $small --memory 3M
check "no folder for a temporary file" is 4
check "it is named" says "$work/none"
unset TMPDIR

run predict $model $cloud -o "$work/no.npy" --options $small data.val.transform.0.type=RandomJitter --memory 3M
check "a transform that needs all points" is 3
check "is named" says "'RandomJitter' stands before GridSample"
awk 'BEGIN { for (i = 0; i < 60000; i++) print i % 300, int(i / 300), (i * 7) % 5, 0.5 }' >"$work/p.xyz"
run predict $model "$work/p.xyz" --columns x,y,z,strength -o "$work/no.npy" --options $small --memory 3M
check "a text file that does not fit" is 3
check "cannot be read in parts" says "nor can it be read in parts"
run predict $model $cloud -o "$work/no.npy" --options $small --memory 1500K
check "too little even so" is 3
run predict $model $cloud -o "$work/no.npy" --options $small data.val.transform.2.grid_size=0.5 --memory 3M
check "too many voxels" is 3
check "a coarser grid is named" says "grid_size=1 in place of 0.5 would fit"
run predict $model $cloud -o "$work/one.npy" --options $small data.val.transform.2.grid_size=1 --memory 3M
check "and fits" is 0
check "nothing is left behind" absent "$work/no.npy"
finish
