_base_ = "x.py"
a = {{ _base_.b.c }}
