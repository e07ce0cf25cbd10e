# The 20 classes of ScanNet in rooms, by a small Point Transformer V3, on few and thinned scans:
# 13 of six places to learn from, 4 of two other places to score on, most of them of 50,000 points.
# Minutes on one core. What comes of it is in docs/guide.md ("Rooms, from few scans").
#
# Pointcept's dialect, with two transforms of our own (EstimateNormals, HeightAboveLowest). Compare
# with its configs/scannet/semseg-pt-v3m1-0-base.py: four levels in place of five, an eighth of the
# channels; voxels of 8 cm in place of 2 cm, because thinned scans hardly share voxels of 2 cm and
# few places teach no small detail; estimated normals and the height above the floor beside
# colours, because these scans bring no normals and other rooms have other colours: the
# colours of a scan are dropped one time in five. For the whole of ScanNet take Pointcept's.

# ---- data ----
dataset_type = "ScanNetDataset"
data_root = "../shared/data/scannet"
num_classes = 20
ignore_index = -1
names = [
    "wall",
    "floor",
    "cabinet",
    "bed",
    "chair",
    "sofa",
    "table",
    "door",
    "window",
    "bookshelf",
    "picture",
    "counter",
    "desk",
    "curtain",
    "refridgerator",
    "shower curtain",
    "toilet",
    "sink",
    "bathtub",
    "otherfurniture",
]
grid_size = 0.08  # metres

# ---- training ----
seed = 0
epoch = 160
eval_epoch = 4
batch_size = 2
num_worker = 1
mix_prob = 0.5  # Mix3D
evaluate = True
clip_grad = 3.0
enable_amp = True
amp_dtype = "bfloat16"
empty_cache = False
save_path = "exp/scannet-tiny"
optimizer = dict(type="AdamW", lr=0.005, weight_decay=0.05)
scheduler = dict(
    type="OneCycleLR",
    max_lr=[0.005, 0.0025],
    pct_start=0.05,
    anneal_strategy="cos",
    div_factor=10.0,
    final_div_factor=1000.0,
)
param_dicts = [dict(keyword="block", lr=0.0025)]

# ---- network ----
model = dict(
    type="DefaultSegmentorV2",
    num_classes=num_classes,
    backbone_out_channels=32,
    backbone=dict(
        type="PT-v3m1",
        in_channels=7,
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
        split="train",
        data_root=data_root,
        transform=[
            dict(type="CenterShift", apply_z=True),
            dict(type="RandomDropout", dropout_ratio=0.2, dropout_application_ratio=0.2),
            dict(type="RandomRotate", angle=[-1, 1], axis="z", center=[0, 0, 0], p=1.0),
            dict(type="RandomRotate", angle=[-1 / 64, 1 / 64], axis="x", p=0.5),
            dict(type="RandomRotate", angle=[-1 / 64, 1 / 64], axis="y", p=0.5),
            dict(type="RandomScale", scale=[0.9, 1.1]),
            dict(type="RandomFlip", p=0.5),
            dict(type="RandomJitter", sigma=0.005, clip=0.02),
            dict(type="ElasticDistortion", distortion_params=[[0.2, 0.4], [0.8, 1.6]]),
            dict(type="ChromaticAutoContrast", p=0.2, blend_factor=None),
            dict(type="ChromaticTranslation", p=0.95, ratio=0.05),
            dict(type="ChromaticJitter", p=0.95, std=0.05),
            dict(type="RandomDropColor", drop_ratio=1.0, drop_application_ratio=0.2),
            dict(
                type="GridSample",
                grid_size=grid_size,
                hash_type="fnv",
                mode="train",
                return_grid_coord=True,
            ),
            dict(type="EstimateNormals", neighbours=12),
            dict(type="HeightAboveLowest", cell=20.0, quantile=0.02, limit=4.0, scale=0.5),
            dict(type="SphereCrop", point_max=12000, mode="random"),
            dict(type="CenterShift", apply_z=False),
            dict(type="NormalizeColor"),
            dict(type="ToTensor"),
            dict(
                type="Collect",
                keys=("coord", "grid_coord", "segment"),
                feat_keys=("color", "normal", "height"),
            ),
        ],
        test_mode=False,
        ignore_index=ignore_index,
    ),
    val=dict(
        type=dataset_type,
        split="val",
        data_root=data_root,
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
            dict(type="EstimateNormals", neighbours=12),
            dict(type="HeightAboveLowest", cell=20.0, quantile=0.02, limit=4.0, scale=0.5),
            dict(type="CenterShift", apply_z=False),
            dict(type="NormalizeColor"),
            dict(type="ToTensor"),
            dict(
                type="Collect",
                keys=("coord", "grid_coord", "segment", "origin_segment", "inverse"),
                feat_keys=("color", "normal", "height"),
            ),
        ],
        test_mode=False,
        ignore_index=ignore_index,
    ),
)
