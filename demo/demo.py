# What the demonstration runs: the small model for scans from the air that ships with this project
# (configs/aerial/semseg-pt-v3-tiny.py), scored on the one scene beside this file.
_base_ = ["../configs/aerial/semseg-pt-v3-tiny.py"]

data = dict(val=dict(split=["val/ign_77060_627760.las"], data_root="demo"))
