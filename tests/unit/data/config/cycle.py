# Names itself as its base.
_base_ = "cycle.py"
