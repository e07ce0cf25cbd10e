# What every experiment has in common.
seed = None
epoch = 100
save_path = "exp/default"
hooks = [
    dict(type="CheckpointLoader"),
    dict(type="CheckpointSaver", save_freq=None),
]
train = dict(type="DefaultTrainer")
