# test_config_keys.sh - keys that nothing uses are told, wrong shapes and other networks refused.
. tests/cli/lib.sh
awk 'BEGIN { for (i = 0; i < 200; i++) print i % 20 / 2, int(i / 20) / 2, i % 7 / 10, i / 200 }' >"$work/p.xyz"

try() { # try OPTION...: predict with the tests' configuration and these options
  run predict tests/small.py --weight random:1 "$work/p.xyz" --columns x,y,z,strength \
    -o "$work/p.npy" ${1:+--options} "$@"
}
unused() { says "'$1' is not used by anything"; }
refused() { [ "$status" = 4 ] && says "$1" && absent "$work/p.npy"; }

try
check "the tests' configuration" is 0
check "all its keys are known" fails says "not used"
try model.backbone.enc_depth="[2,2]" model.backbone.enable_fash=False model.critera=None
check "a misspelt key is no failure" is 0
check "of the backbone" unused model.backbone.enc_depth
check "of its flags" unused model.backbone.enable_fash
check "of the model" unused model.critera
check "each told once" [ "$(grep -c 'not used' "$err")" = 3 ]
check "with its source" says "option"
try data.val.transfrom="[]" data.vall.type=x data.val.transform.2.grid_sze=0.1 enable_am=True
check "of a data set" unused data.val.transfrom
check "of the data" unused data.vall
check "with the key that is meant" says "'data.val.transfrom' .*; is 'transform' meant?"
check "of a transform" unused data.val.transform.2.grid_sze
check "with its key" says "grid_sze' .*; is 'grid_size' meant?"
check "of the top" unused enable_am
try hooks="[]" optimizer.type=AdamW scheduler.max_lr=0.1 epoch=800 data.train.typo=1 \
  model.backbone.pdnorm_affine=True data.val.loop=2 model.freeze_backbone=True
check "keys that training reads are known" is 0
check "and give no warning" fails says "not used"
run predict tests/small.py --weight random:1 "$work/p.xyz" --columns x,y,z,strength -q \
  -o "$work/p.npy" --options model.backbone.enc_depth=1
check "--quiet says nothing of them" silent

cat >"$work/typo.py" <<END
_base_ = ["$PWD/tests/small.py"]
model = dict(
    backbone=dict(enc_channel=(8, 8), dec_depths=(1, 1)))
END
rm -f "$work/p.npy"
run predict "$work/typo.py" --weight random:1 "$work/p.xyz" -o "$work/p.npy"
check "a wrong length" refused "typo.py:3:.*'dec_depths' has 2 entries, 3 are needed"
check "after the misspelt key" says "typo.py:3: 'model.backbone.enc_channel' is not used"

try model.backbone.in_channels=6
check "features of another width" refused \
  "small.py:[0-9]*:.*feat_keys give 4 channels, model.backbone.in_channels is 6: change one"
try model.num_classes=5 data.num_classes=5
check "names for other classes" refused "small.py:[0-9]*:.*data.names: has 3 names.* 5"
try data.num_classes=4
check "another number of classes" refused "data.num_classes: is 4, but model.num_classes is 3"
try model.backbone.enc_num_head="[1,3,4,8]"
check "heads" refused "enc_num_head = 3 does not divide enc_channels = 32"
try model.backbone.enc_channels="[16,32]"
check "a tuple too short" refused "'enc_channels' has 2 entries, 4 are needed"
try model.backbone.stride="[2,3,2]"
check "a stride" refused "stride 3 is not a power of two"
try model.backbone_out_channels=48
check "what the head takes" refused "backbone_out_channels = 48, but the backbone gives 32"
try model.backbone.order="[z,peano]"
check "a curve" refused "order 'peano' is not one of z, z-trans"
try model.backbone.pdnorm_bn=True
check "PDNorm" refused "PDNorm (models of Point Prompt Training) is not supported"
for other in PT-v3m2 SpUNet-v1m1 LitePT-v1 PT-v2m2; do
  try model.backbone.type=$other
  check "$other" refused "small.py\|option.*backbone '$other' is not supported: PT-v3m1 is"
  check "$other: none of its keys is called unused" fails says "not used"
done
for other in DefaultSegmentor PPT-v1m1 PG-v1m2 DefaultClassifier; do
  try model.type=$other
  check "$other" refused "model '$other' is not supported: DefaultSegmentorV2 is"
done
try data.val.transform.0.type=CenterShit
check "a transform" refused "the transform 'CenterShit' is not known here; is 'CenterShift' meant?"

cat >"$work/none.py" <<END
_base_ = ["$PWD/tests/small.py"]
model = dict(_delete_=True, type="DefaultSegmentorV2")
END
run predict "$work/none.py" --weight random:1 "$work/p.xyz" -o "$work/p.npy"
check "no backbone" refused "none.py:2:.*has no 'backbone'"

finish
