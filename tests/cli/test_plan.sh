# test_plan.sh - ptv3 plan: the prediction of memory is what a run takes; what fits and what
# does not.
. tests/cli/lib.sh
cloud=demo/val/ign_77060_627760.las

run plan tests/small.py $cloud
check "a plan" is 0
check "rows of the levels" prints "^0 "
check "bytes by category" prints "^features"
check "the verdict" prints "fits the budget"

run plan tests/small.py $cloud --json
check "JSON" is 0
check "JSON has steps" prints '"op": "attention"'
total=$(sed -n 's/.*"total": \([0-9]*\).*/\1/p' "$out")
least=$(sed -n 's/.*"least": \([0-9]*\).*/\1/p' "$out")

# The least that the plan names is the least with all points in memory.
run plan tests/small.py $cloud --memory $((least * 9 / 10)) --json
check "less than the least fits with the file read in parts" is 0
check "which is told" prints '"in_parts": true'
least_parts=$(sed -n 's/.*"least": \([0-9]*\).*/\1/p' "$out")
run plan tests/small.py $cloud --memory $((least * 9 / 10))
check "in words too" prints "with the file read in parts"
run plan tests/small.py $cloud --memory $((least_parts * 9 / 10))
check "less than that least does not fit" is 3
check "the least is named" prints "the least that would do"
run plan tests/small.py $cloud --memory "$total"
check "the peak fits" is 0

# Below what it takes in memory: a file, the way chosen and the same numbers for others.
run plan tests/small.py $cloud --memory $((total * 9 / 10)) --json
check "less than the peak fits" is 0
check "tensors are in a file" prints '"spilled": [1-9]'
check "so much of the disk" prints '"disk": [1-9]'
check "other ways to run it" prints '"memory": [0-9]*, "disk": [0-9]*, "spilled": 0'
run plan tests/small.py $cloud --memory $((total * 9 / 10))
check "the file is told" prints "tensors in a temporary file of"
run predict tests/small.py -w random:1 $cloud -o "$work/labels.npy" --memory 14M --tmp /dev/null
check "a folder that is none" is 4
check "what to do about it" says "with --tmp or TMPDIR"

run plan tests/small.py --points 200000
check "without a cloud" is 0
check "rows are guessed" prints "guessed"
run plan tests/small.py --points 2000000000 --memory 1G
check "too many points" is 3
run plan tests/small.py
check "neither cloud nor points" is 2
run plan tests/small.py --points 10 --suggest
check "--suggest needs a cloud" is 2
run plan tests/small.py $cloud --suggest --memory $((least * 2 / 3))
check "a suggestion" is 0
check "the configured grid is too large" prints "too large"
check "something fits" prints "fits"

# A step of training.
train=configs/aerial/semseg-pt-v3-tiny.py
run plan $train --train
check "a step of training, of the configured batch" is 0
check "where its size comes from" prints "batch_size, point_max of data.train"
check "what is kept" prints "the inputs of stages"
check "the optimiser" prints "^optimiser"
run plan $train --train --points 30000 --json
check "of a number of voxels" is 0
check "by category" prints '"gradients": [1-9][0-9]*, "optimiser": [1-9]'
check "with room most is kept" prints '"chosen": 0, "fits": true'
kept() { sed -n 's/.*"kept": "the inputs of '"$1"'".*"total": \([0-9]*\).*/\1/p' "$out"; }
all=$(kept operations)
blocks=$(kept blocks)
few=$(kept stages)
least=$(sed -n 's/.*"least": \([0-9]*\).*/\1/p' "$out")
run plan $train --train --points 30000 --json --memory $((all - 1))
check "with less, less" prints '"chosen": [12], "fits": true'
run plan $train --train --points 30000 --memory "$few"
check "the last way" prints "inputs of stages .* fits, is taken"
run plan $train --train --points 30000 --memory $((least - 1))
check "below the least" is 3
check "which is named" prints "the least that would do"
run plan bench/s3dis_base.py --train --points 1000
check "a configuration that does not train" is 4
run plan $train --train --points 30000 --json --compat 1.5.1
check "for weights of Pointcept 1.5.1" is 0
check "the inputs of blocks are more" [ "$(kept blocks)" -gt "$blocks" ]
run plan $train --train --points 30000 --json --options model.backbone.enc_mode=True model.backbone_out_channels=240
check "for an encoder alone" is 0
check "all inputs of stages are fewer" [ "$(kept stages)" -lt "$few" ]
run plan $train --train --suggest
check "--train and --suggest" is 2

finish
