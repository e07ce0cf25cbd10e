#o model.enc_depths=(1,[2,x])

epoch = 800
base_lr = 6e-3
model = dict(
    type="PT-v3m1",
    in_channels=6,
    order=("z", "z-trans", "hilbert", "hilbert-trans"),
    enc_depths=(2,) * 2 + (6, 2),
    enc_channels=[32 * 2**i for i in range(4)],
    drop_path=0.3,
    shuffle_orders=not False,
    head=None,
)
dec_depths = model["enc_depths"]
optimizer = dict(type="AdamW", lr=base_lr, weight_decay=5e-2)
scheduler = dict(
    type="OneCycleLR",
    max_lr=[optimizer["lr"], base_lr * 0.1],
    angle=[-1 / 64, 1 / 64],
    warm=1e-05,
)
param_dicts = [
    dict(keyword=f"enc{e}.block{b}.", lr=base_lr * 0.5 ** (sum(dec_depths) - b - 1))
    for e in range(len(dec_depths))
    for b in range(dec_depths[e])
    if e > 2
]
del dec_depths
tags = ["room_{}".format(i) for i in range(2)]
data = dict(
    train=dict(split=["train", "val"], **dict(loop=1)),
    learning_map=dict(_delete_=True, none=0),
)
