# A small Point Transformer V3 for the tests: three classes of aerial scans, half-metre voxels.
#
# The dialect is Pointcept's; nothing here is run. Compare with semseg-pt-v3m1-0-base.py:
# four levels in place of five, an eighth of the channels.

num_classes = 3
grid_size = 0.5  # metres
names = ["ground", "vegetation", "building"]
las_codes = [2, 5, 6]  # ASPRS classification of each class
# The classes of a file's labels; those not listed are ignored. Not in Pointcept.
learning_map = {2: 0, 3: 1, 4: 1, 5: 1, 6: 2}

model = dict(
    type="DefaultSegmentorV2",
    num_classes=num_classes,
    backbone_out_channels=32,
    backbone=dict(
        type="PT-v3m1",
        in_channels=4,
        order=("z", "z-trans", "hilbert", "hilbert-trans"),
        stride=(2, 2, 2),
        enc_depths=(1, 1, 2, 1),
        enc_channels=(16, 32, 64, 128),
        enc_num_head=(1, 2, 4, 8),
        enc_patch_size=(256, 256, 256, 256),
        dec_depths=(1, 1, 1),
        dec_channels=(32, 32, 64),
        dec_num_head=(2, 2, 4),
        dec_patch_size=(256, 256, 256),
        mlp_ratio=4,
        qkv_bias=True,
        qk_scale=None,
        attn_drop=0.0,
        proj_drop=0.0,
        drop_path=0.1,
        shuffle_orders=True,
        pre_norm=True,
        enable_rpe=False,
        enable_flash=True,
        upcast_attention=False,
        upcast_softmax=False,
        enc_mode=False,
        pdnorm_bn=False,
        pdnorm_ln=False,
    ),
    criteria=[
        dict(type="CrossEntropyLoss", loss_weight=1.0, ignore_index=-1),
        dict(type="LovaszLoss", mode="multiclass", loss_weight=1.0, ignore_index=-1),
    ],
)

data = dict(
    num_classes=num_classes,
    ignore_index=-1,
    names=names,
    val=dict(
        type="DefaultDataset",
        split="val",
        data_root="demo",
        learning_map=learning_map,
        transform=[
            dict(type="CenterShift", apply_z=True),
            dict(type="Copy", keys_dict={"segment": "origin_segment"}),
            dict(
                type="GridSample",
                grid_size=grid_size,
                hash_type="fnv",
                mode="train",
                return_grid_coord=True,
                return_inverse=True,
            ),
            dict(type="ToTensor"),
            dict(
                type="Collect",
                keys=("coord", "grid_coord", "segment", "origin_segment", "inverse"),
                feat_keys=("coord", "strength"),
            ),
        ],
        test_mode=False,
        ignore_index=-1,
    ),
)
