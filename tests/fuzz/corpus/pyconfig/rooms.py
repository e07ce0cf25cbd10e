from pointcept.datasets.preprocessing.scannet.meta_data.scannet200_constants import (
    CLASS_LABELS_20 as labels,
)

data = dict(
    names=list(labels)[:3] + ["other \"thing\"", 'caf\u00e9 \U0001f600'],
    num_classes=len(labels),
    train=dict(type="Rooms", split="train", crop=(5.0, 5.0, None)),
    learning_map={0: 1, 10: 2, -1: 255},
)
