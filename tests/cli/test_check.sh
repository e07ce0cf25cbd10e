# test_check.sh - ptv3 check: what it finds, how it says it; the configurations that ship.
. tests/cli/lib.sh
scene=demo/val/ign_77060_627760.las
mkdir -p "$work/data/train" "$work/data/val"
cp $scene "$work/data/train/a.las"
other() { # other FILE: one point of a copy moves, so that it is another scan
  at=$(od -An -tu4 -j96 -N4 $scene | tr -d ' ')
  cp $scene "$1" && printf '\001' | dd of="$1" bs=1 seek="$at" conv=notrunc 2>/dev/null
}
other "$work/data/val/b.las"
aerial=configs/aerial/semseg-pt-v3-tiny.py
there="--options data.train.data_root=$work/data data.val.data_root=$work/data
  data.train.split=train data.val.split=val"

run check $aerial $there
check "a data set without errors" is 0
check "splits" prints '^train *1 *1 *20 '
check "labels" prints '^1 vegetation *16577 '
check "the sum of findings" prints '^0 errors, 0 warnings'
check "nothing is coloured in a pipe" no_escapes

run check $aerial --data-root "$work/data" --options data.train.split=train data.val.split=val
check "--data-root in place of that of each split" is 0
check "reads what is there" prints '^1 vegetation *16577 '
run check $aerial --data-root "$work/none" --options data.train.split=train data.val.split=val
check "--data-root that is not there" is 4
check "is named" prints "$work/none"

cp $scene "$work/data/val/copy.las"
run check $aerial $there
check "a copy of what is trained on" prints "^warning: data.val: '.*copy.las': its points are those of '.*a.las'"
rm "$work/data/val/copy.las"

run check $aerial $there --quick
check "--quick" is 0
check "makes no voxels" prints '^train .*-$'

run check $aerial $there data.val.split=train --json -q
check "JSON with a warning" is 0
check "is JSON" [ "$(head -c 1 "$out")" = "{" ]
check "has the finding" prints '"kind": "shared", "split": "val"'
check "--quiet" silent

printf '_base_ = "%s/%s"\ndata = dict(train=dict(lop=3))\n' "$PWD" $aerial >"$work/lop.py"
run check "$work/lop.py" $there
check "a misspelt key" is 0
check "is told" says "lop.py:2: 'data.train.lop' is not used by anything; is 'loop' meant?"
printf '_base_ = "%s/%s"\ndata = dict(train=dict(data_rot="x"))\n' "$PWD" $aerial >"$work/rot.py"
run check "$work/rot.py" --options data.train.data_root="$work/none" data.val.split="$work"
check "a data set that does not open" is 4
check "is told of its misspelt key too" says "'data.train.data_rot' .*is 'data_root' meant?"
run train "$work/lop.py" $there data.val.split=none --save-path "$work/exp"
check "training does not begin without its data" is 4
check "and tells of the misspelt key" says "'data.train.lop' .*is 'loop' meant?"

cat >"$work/whole.py" <<END
_base_ = "$PWD/$aerial"
data = dict(
    test=dict(
        type="DefaultDataset",
        split="val",
        data_root="$work/data",
        transform=[dict(type="CenterShift", apply_z=True)],
        test_mode=True,
        learning_map={2: 0, 3: 1, 4: 1, 5: 1, 6: 2},
        test_cfg=dict(
            voxelize=dict(type="GridSample", grid_size=0.5, mode="test", return_grid_coord=True),
            crop=dict(type="SphereCrop", point_max=1000000, mode="all"),
            post_transform=[dict(type="ToTensor")],
            aug_transform=[[dict(type="RandomScale", scale=[1, 1])]],
        ),
    )
)
END
run check "$work/whole.py" $there
check "SphereCrop of all parts in data.test.test_cfg" is 0
check "is none of check's business" prints '^0 errors, 0 warnings'
check "all its keys are known" silent
run train "$work/whole.py" $there --stop-after 1 --save-path "$work/whole" \
  --options epoch=20 eval_epoch=1 evaluate=False batch_size=1
check "nor of training's" is 0
sed 's/"CenterShift", apply_z=True/"SphereCrop", mode="all"/' "$work/whole.py" >"$work/crop.py"
run check "$work/crop.py" $there
check "in the transforms it is an error" is 4
check "that says where it belongs" prints "crop.py:7:.*data.test.transform.0.mode: 'all' .*test_cfg.crop"

printf '_base_ = "%s/%s"\ndata = dict(val=None)\n' "$PWD" $aerial >"$work/noval.py"
one="--options data.train.data_root=$work/data data.train.split=train"
run check "$work/noval.py" $one
check "data.val is missing" is 4
check "which evaluation needs" prints "error: data.val: .*has no 'val'\|data.val: is None"
check "with the way out" prints "or set evaluate=False"
run train "$work/noval.py" $one --save-path "$work/exp"
check "so training does not begin" is 4
check "and says the same" says "data: has no 'val', which evaluate=True .*set evaluate=False"
run check "$work/noval.py" $one evaluate=False
check "without evaluation it is not missed" is 0
mkdir "$work/data/void"
run check $aerial $there data.val.split=void
check "an empty split" is 4
check "is told with evaluate=False" prints "evaluate=False trains without data.val"
run train $aerial $there data.val.split=void --save-path "$work/exp"
check "in training too" says "evaluate=False trains without it): data.val: no scenes in '.*void'"
run train $aerial $there data.train.split=void --save-path "$work/exp"
check "and of data.train" says "data.train: no scenes in '.*void'"

head -c 5000 $scene >"$work/data/val/c.las"
run check $aerial $there
check "a damaged scene" is 4
check "is named once, with what to do" prints "^error: data.val: '.*c.las'"
check "and the rest is read" prints '^1 vegetation *16577 .*16577'
run check $aerial $there data.train.split=none
check "a split that is not there" is 4
check "is named" prints "^error: data.train: .*data/none'"
printf '_base_ = "%s/%s"\ndata = dict(train=dict(learning_map=None))\n' "$PWD" $aerial >"$work/raw.py"
run check "$work/raw.py" $there data.val.split=train
check "labels that are no classes" is 4
check "are counted" prints 'labels outside the classes 0 .. 2; the first is '
check "with the key to set" prints 'learning_map = {label: class} in data.train'
run train "$work/raw.py" $there data.val.split=train --save-path "$work/exp"
check "training on them does not begin" is 4
check "and says why" says "data.train: .*labels outside the classes"
run check tests/small.py
check "a configuration without data.train" is 0
run check configs/scannet/semseg-pt-v3-tiny.py $there data.train.type=DefaultDataset
check "a missing channel" is 4
check "is told with what to do" prints "take it out of feat_keys"
run check $aerial $there --scenes 0
check "a number of scenes that is too small" is 2
run check "$work/no.py"
check "a configuration that is not there" is 4

for config in configs/*/*.py; do
  run config "$config"
  check "$config is read" is 0
done
run predict $aerial --weight random:1 $scene -o "$work/x.npy" -q
check "the features of the aerial one are in any LAS file" is 0
run predict configs/scannet/semseg-pt-v3-tiny.py --weight random:1 $scene -o "$work/x.npy" -q \
  --fill color=128,128,128
check "the one for rooms makes its normals and heights itself" is 0

finish
