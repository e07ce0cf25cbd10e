# The recipe of semseg-pt-v3-tiny.py for rooms that are known: six places were scanned more than
# once; the last scan of each is scored, all others are learnt from. Scores say how well another
# scan of the same rooms is labelled, and nothing about rooms never seen.
_base_ = "semseg-pt-v3-tiny.py"
save_path = "exp/scannet-tiny-rescan"
data = dict(
    train=dict(
        split=[
            "train/scene0000_00",
            "train/scene0000_01",
            "train/scene0001_00",
            "train/scene0002_00",
            "train/scene0003_00",
            "train/scene0003_01",
            "train/scene0004_00",
            "train/scene0005_00",
            "val/scene0006_00",
            "val/scene0006_01",
            "val/scene0007_00",
        ]
    ),
    val=dict(
        split=[
            "train/scene0000_02",
            "train/scene0001_01",
            "train/scene0002_01",
            "train/scene0003_02",
            "train/scene0005_01",
            "val/scene0006_02",
        ]
    ),
)
