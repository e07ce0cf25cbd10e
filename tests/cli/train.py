# The configuration of test_train.sh, which puts its folder in the place of DATA.
seed = 3
batch_size = 2
epoch = 3
eval_epoch = 3
clip_grad = 1.0
mix_prob = 0.5
enable_amp = False
evaluate = True
save_path = "exp"
optimizer = dict(type="AdamW", lr=0.01, weight_decay=0.01)
scheduler = dict(
    type="OneCycleLR",
    max_lr=[0.01, 0.005],
    pct_start=0.2,
    anneal_strategy="cos",
    div_factor=10.0,
    final_div_factor=100.0,
)
param_dicts = [dict(keyword="block", lr=0.005)]
model = dict(
    type="DefaultSegmentorV2",
    num_classes=2,
    backbone_out_channels=8,
    backbone=dict(
        type="PT-v3m1",
        in_channels=3,
        order=("z", "hilbert"),
        stride=(2,),
        enc_depths=(1, 1),
        enc_channels=(8, 16),
        enc_num_head=(1, 2),
        enc_patch_size=(64, 64),
        dec_depths=(1,),
        dec_channels=(8,),
        dec_num_head=(1,),
        dec_patch_size=(64,),
        drop_path=0.2,
        proj_drop=0.1,
        attn_drop=0.1,
        shuffle_orders=True,
    ),
    criteria=[
        dict(type="CrossEntropyLoss", loss_weight=1.0, ignore_index=-1),
        dict(type="LovaszLoss", mode="multiclass", loss_weight=1.0, ignore_index=-1),
    ],
)
shift = dict(type="CenterShift", apply_z=True)
grid = dict(type="GridSample", grid_size=0.1, hash_type="fnv", mode="train", return_grid_coord=True)
data = dict(
    num_classes=2,
    ignore_index=-1,
    names=["floor", "box"],
    train=dict(
        type="DefaultDataset",
        split="train",
        data_root="DATA",
        transform=[
            shift,
            dict(type="RandomRotate", angle=[-1, 1], axis="z", center=[0, 0, 0], p=1.0),
            grid,
            dict(type="ToTensor"),
            dict(type="Collect", keys=("coord", "grid_coord", "segment"), feat_keys=("coord",)),
        ],
    ),
    val=dict(
        type="DefaultDataset",
        split="val",
        data_root="DATA",
        transform=[
            shift,
            dict(type="Copy", keys_dict={"segment": "origin_segment"}),
            dict(
                type="GridSample",
                grid_size=0.1,
                hash_type="fnv",
                mode="train",
                return_grid_coord=True,
                return_inverse=True,
            ),
            dict(type="ToTensor"),
            dict(
                type="Collect",
                keys=("coord", "grid_coord", "segment", "origin_segment", "inverse"),
                feat_keys=("coord",),
            ),
        ],
    ),
)
