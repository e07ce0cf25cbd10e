# Ground, vegetation and building in scans from the air, by a small Point Transformer V3.
#
# Pointcept's dialect, with two additions of this project: learning_map, and the transform
# HeightAboveLowest. See docs/guide.md, "Training on your own LAS files".
#
# What the network is given holds for any LAS file:
#   displacement  where in its voxel a point lies, 3 numbers
#   height        metres above the lowest points within some 12 m: follows slopes
#   height_wide   the same within some 50 m: reaches the ground beside large roofs
# Not: intensity, whose scale differs from sensor to sensor (67 to 2,700 in one of these files, 12,276
# to 56,338 in another); colour and echoes, which many files lack; height above sea level or above the
# lowest point of a tile, which mean nothing on the next tile.

# ---- classes ----
# ASPRS classification -> class. What is not listed is ignored, neither learnt nor scored:
#   1 unclassified: in AHN (Netherlands) it is everything but ground, buildings and water, so
#     vegetation too; in LiDAR HD (France) cars, fences, poles
#   9 water, 17 and 26 bridges: too few in these scenes to learn
#   0, 7, 18 noise; 64 to 67 LiDAR HD's own codes: artefacts, points added by hand
learning_map = {2: 0, 3: 1, 4: 1, 5: 1, 6: 2}
names = ["ground", "vegetation", "building"]
las_codes = [2, 5, 6]  # what `ptv3 predict -o x.las` writes for each class
num_classes = 3
ignore_index = -1

# ---- data ----
# A split is a list of folders with coord.npy and segment.npy, or of LAS, LAZ or PLY files below
# data_root. The village (ign_77060_*) and the farm (ign_bat) are kept for validation.
dataset_type = "DefaultDataset"
data_root = "../shared/data/aerial"
train_scenes = [
    "ign_77050_627755",
    "ign_77050_627760",
    "ign_77055_627755",
    "ign_77055_627760",
    "ign_crop_1",
    "ign_decim_0292_6833",  # 0.3 points a square metre
    "ign_pont",
    "ign_rgb_870000_6618000",
    "ahn3_delft_1",
    "ahn4_ams_2463_9714",
]
val_scenes = ["ign_77060_627755", "ign_77060_627760", "ign_bat"]
# Left out: odm_brighton_small. Photogrammetry sees one surface, and its ground holds trees.

grid_size = 0.5  # metres
height = dict(type="HeightAboveLowest", cell=8.0, quantile=0.02, limit=50.0, scale=0.1)
height_wide = dict(
    type="HeightAboveLowest", cell=32.0, quantile=0.02, limit=50.0, scale=0.1, key="height_wide"
)

# ---- training ----
seed = 0
epoch = 240  # passes over the scenes; 20 between validations
eval_epoch = 12
batch_size = 4
num_worker = 1
mix_prob = 0.0  # two places mixed have two grounds: height would mean nothing
evaluate = True
clip_grad = 3.0
enable_amp = True
amp_dtype = "bfloat16"
empty_cache = False
save_path = "exp/aerial-tiny"
optimizer = dict(type="AdamW", lr=0.004, weight_decay=0.02)
scheduler = dict(
    type="OneCycleLR",
    max_lr=[0.004, 0.001],
    pct_start=0.1,
    anneal_strategy="cos",
    div_factor=10.0,
    final_div_factor=100.0,
)
param_dicts = [dict(keyword="block", lr=0.001)]

# ---- network: four levels, an eighth of the channels of semseg-pt-v3m1-0-base ----
model = dict(
    type="DefaultSegmentorV2",
    num_classes=num_classes,
    backbone_out_channels=32,
    backbone=dict(
        type="PT-v3m1",
        in_channels=5,
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
        dict(type="CrossEntropyLoss", loss_weight=1.0, ignore_index=ignore_index),
        dict(type="LovaszLoss", mode="multiclass", loss_weight=1.0, ignore_index=ignore_index),
    ],
)

data = dict(
    num_classes=num_classes,
    ignore_index=ignore_index,
    names=names,
    train=dict(
        type=dataset_type,
        split=train_scenes,
        data_root=data_root,
        learning_map=learning_map,
        transform=[
            dict(type="CenterShift", apply_z=True),
            # other sensors, other densities
            dict(type="RandomDropout", dropout_ratio=0.5, dropout_application_ratio=0.3),
            dict(type="RandomRotate", angle=[-1, 1], axis="z", center=[0, 0, 0], p=1.0),
            dict(type="RandomRotate", angle=[-1 / 64, 1 / 64], axis="x", p=0.5),  # slopes
            dict(type="RandomRotate", angle=[-1 / 64, 1 / 64], axis="y", p=0.5),
            dict(type="RandomScale", scale=[0.9, 1.1]),
            dict(type="RandomFlip", p=0.5),
            dict(type="RandomJitter", sigma=0.02, clip=0.1),
            height,
            height_wide,
            dict(
                type="GridSample",
                grid_size=grid_size,
                hash_type="fnv",
                mode="train",
                return_grid_coord=True,
                return_displacement=True,
            ),
            dict(type="SphereCrop", point_max=20000, mode="random"),
            dict(type="ToTensor"),
            dict(
                type="Collect",
                keys=("coord", "grid_coord", "segment"),
                feat_keys=("displacement", "height", "height_wide"),
            ),
        ],
        test_mode=False,
        ignore_index=ignore_index,
    ),
    val=dict(
        type=dataset_type,
        split=val_scenes,
        data_root=data_root,
        learning_map=learning_map,
        transform=[
            dict(type="CenterShift", apply_z=True),
            dict(type="Copy", keys_dict={"segment": "origin_segment"}),
            height,
            height_wide,
            dict(
                type="GridSample",
                grid_size=grid_size,
                hash_type="fnv",
                mode="train",
                return_grid_coord=True,
                return_inverse=True,
                return_displacement=True,
            ),
            dict(type="ToTensor"),
            dict(
                type="Collect",
                keys=("coord", "grid_coord", "segment", "origin_segment", "inverse"),
                feat_keys=("displacement", "height", "height_wide"),
            ),
        ],
        test_mode=False,
        ignore_index=ignore_index,
    ),
)
